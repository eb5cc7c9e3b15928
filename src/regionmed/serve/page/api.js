// The HTTP doors of serve/app.py. A failure throws an Error whose message is one sentence for the reader.

async function reply(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer. Is 'regionmed serve' still running?");
  }
  if (response.ok) return response;
  const said = await response.json().catch(() => ({}));
  throw new Error(said.error ?? `The server answered ${response.status}.`);
}

const json = async (path, options) => (await reply(path, options)).json();

const post = (path, body) =>
  json(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

export const status = () => json("/api/status");

// Only the bytes travel; the file's name, which may name a person, stays in the page.
export const openPicture = (file) => json("/api/pictures", { method: "POST", body: file });

export const pixels = async (id) => createImageBitmap(await (await reply(`/api/pictures/${id}.png`)).blob());

export const values = async (id) =>
  new Float32Array(await (await reply(`/api/pictures/${id}/values`)).arrayBuffer());

export const ask = (question) => post("/api/ask", question);

export const search = (text) => post("/api/search", { text });

export const thumbnail = (number) => `/api/thumbnails/${number}.jpg`;
