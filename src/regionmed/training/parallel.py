"""One run over several processes: each reads its share of a step's pictures, all judge all of them.

Every process draws the same step and reads the pictures that are its own (`Share.rows`); the
vectors of the others are gathered (`Share.gather`), and so each holds the very loss that a single
process would. How gradients stay the same: DDP and FSDP give each parameter the mean of what the
processes found. A parameter that acts after the gathering has its whole gradient in every process,
and the mean leaves it. One that acts before has in each process the part of the pictures read
there; `gather` hands it that part times the number of processes, and the mean of those is the sum.

`torchrun` starts the processes and tells each its place in the environment; they meet by gloo.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.rendezvous import rendezvous
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from regionmed.errors import UsageError
from regionmed.model.region_clip import RegionClip
from regionmed.training.draw import Step

PATIENCE = timedelta(minutes=5)  # a step's messages that take longer mean that a process is gone
LONG_PATIENCE = timedelta(days=2)  # for the first process to build what the others wait for
BLOCK = 100_000  # a block of fewer moving numbers is not worth messages of its own


@dataclass(frozen=True)
class Share:
    """This process's place among `processes`; by default it is alone, and nothing is sent."""

    rank: int = 0
    processes: int = 1
    waiting: dist.ProcessGroup | None = None  # of the patient messages

    @property
    def leads(self) -> bool:
        """Whether this process writes the run's files; one of all does."""
        return self.rank == 0

    def rows(self, total: int) -> slice:
        """Which of `total` pictures are read here; the shares differ by one picture at most."""
        return slice(total * self.rank // self.processes, total * (self.rank + 1) // self.processes)

    def gather(self, own: Tensor, each_B: Tensor) -> Tensor:
        """The rows of all processes in the order of the pictures; gradients flow into one's own.

        own     (rows that this process's pictures give, ...); may be none
        each_B  int64, how many rows each picture of the whole step gives, the same everywhere
        """
        if self.processes == 1:
            return own
        ends = [Share(rank, self.processes).rows(len(each_B)) for rank in range(self.processes)]
        counts = [int(each_B[rows].sum()) for rows in ends]
        gathered: Tensor = _Gather.apply(own, counts, self.rank)
        return gathered

    def part(self, step: Step) -> Step:
        """The step with this process's pictures alone, to be read; judging needs the whole step.

        What the whole step has none of stays None; what this part alone has none of is empty.
        """
        if self.processes == 1:
            return step
        own = self.rows(len(step.present_BR))
        regions = slice(
            int(step.present_BR[: own.start].sum()), int(step.present_BR[: own.stop].sum())
        )
        fine = [row for row, b in enumerate(step.fine_pictures) if own.start <= b < own.stop]
        windows = [row for row, b in enumerate(step.window_pictures) if own.start <= b < own.stop]
        return replace(
            step,
            early_BCHW=step.early_BCHW[own],
            boxes_BR4=step.boxes_BR4[own],
            present_BR=step.present_BR[own],
            cover_BRHW=step.cover_BRHW[own],
            queries_BQ=step.queries_BQ[own],
            query_cover_BQHW=step.query_cover_BQHW[own],
            query_present_BQ=step.query_present_BQ[own],
            fine_MCHW=_some(step.fine_MCHW, fine),
            fine_pictures=tuple(step.fine_pictures[row] - own.start for row in fine),
            zoomed_BR=_some(step.zoomed_BR, own),
            crops_NCHW=_some(step.crops_NCHW, regions),
            windows_DCHW=_some(step.windows_DCHW, windows),
            window_pictures=tuple(step.window_pictures[row] - own.start for row in windows),
            window_boxes_D4=_some(step.window_boxes_D4, windows),
        )

    def chance(self, seed: int) -> int:
        """A seed of this process's own: masks of dropout should not repeat from part to part."""
        return seed + (self.rank << 40)

    def any(self, flag: bool) -> bool:
        """Whether any process says so."""
        if self.processes == 1:
            return flag
        said = torch.tensor([int(flag)])
        dist.all_reduce(said, dist.ReduceOp.MAX)
        return bool(said.item())

    def wait(self) -> None:
        """Go on when all have come here, however long the slowest takes; it may not die."""
        if self.processes > 1:
            dist.barrier(self.waiting)

    @contextmanager
    def lead_first(self) -> Iterator[None]:
        """The body runs in the first process, then in the others, who find the files it made."""
        if not self.leads:
            self.wait()
        yield
        if self.leads:
            self.wait()

    def shard(self, module: nn.Module, moving: Iterable[nn.Parameter]) -> None:
        """Split the moving parameters over the processes, in place (FSDP2).

        Parameters become DTensors, so this comes before the optimizer is made. What never moves
        stays whole: it needs neither gradient nor moments; so do single numbers, which
        `clip_gradients` averages.
        """
        if self.processes == 1:
            return
        split = {parameter for parameter in moving if parameter.dim() > 0}
        whole = {parameter for parameter in module.parameters() if parameter not in split}
        for parameter in split:
            parameter.data = (
                parameter.data.contiguous()
            )  # a condition of FSDP; towers come otherwise
        mesh = init_device_mesh("cpu", (self.processes,))
        for block in _blocks(module, split):
            fully_shard(block, mesh=mesh, ignored_params=whole)
        fully_shard(module, mesh=mesh, ignored_params=whole)
        for part in module.modules():
            if isinstance(part, FSDPModule):
                part.set_force_sum_reduction_for_comms(True)  # gloo knows no mean

    def join(self, module: nn.Module) -> nn.Module:
        """The module as it is to be called in a stage, so that its gradients become the mean.

        To be asked anew when other parameters move.
        """
        if self.processes == 1 or isinstance(module, FSDPModule):
            return module
        if isinstance(module, DistributedDataParallel):
            module = module.module
        # which terms are fed differs from step to step, and with them which parameters are used
        return DistributedDataParallel(module, find_unused_parameters=True)

    def clip_gradients(self, parameters: Iterable[nn.Parameter], most: float) -> float:
        """Scale all gradients so that their joint norm is at most `most`; returns it before."""
        moved = [parameter for parameter in parameters if parameter.grad is not None]
        if not moved:
            return 0.0
        split = [parameter for parameter in moved if isinstance(parameter, DTensor)]
        whole = [parameter for parameter in moved if not isinstance(parameter, DTensor)]
        if split:
            for parameter in whole:  # FSDP left these alone
                assert parameter.grad is not None
                dist.all_reduce(parameter.grad)
                parameter.grad /= self.processes
        norms = [_norm(some) for some in (whole, split) if some]
        norm = torch.linalg.vector_norm(torch.stack(norms))
        for some in (whole, split):
            nn.utils.clip_grads_with_norm_(some, most, norm)
        return float(norm)


ALONE = Share()


@contextmanager
def together(patience: timedelta = PATIENCE) -> Iterator[Share]:
    """The processes that torchrun started, joined for the body; ALONE without torchrun.

    UsageError where one of the others is killed, or silent for longer than `patience`.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    try:
        store, rank, processes = next(rendezvous("env://", timeout=patience))
        # torchrun may keep its store over a restart: addresses of dead processes must not be found
        store = PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), store)
        dist.init_process_group(
            "gloo", store=store, rank=rank, world_size=processes, timeout=patience
        )
        waiting = dist.new_group(backend="gloo", timeout=LONG_PATIENCE)
        assert not isinstance(waiting, int)  # it is one for those left out of a group
        yield Share(rank, processes, waiting)
        dist.destroy_process_group()
    except RuntimeError as error:
        # gloo has no error type of its own; its messages name the file they come from
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise
        raise UsageError(
            f"process {os.environ['RANK']} of {os.environ['WORLD_SIZE']} lost another one, which "
            f"failed, was killed, or was silent for {patience.total_seconds():.0f} s; the run is "
            "kept up to its last checkpoint, start it again with --resume"
        ) from error


def whole_tensor(tensor: Tensor) -> Tensor:
    """The tensor as one process would hold it; all processes must ask for it together."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def split_like(tensor: Tensor, pattern: Tensor) -> Tensor:
    """A whole tensor split over the processes as `pattern` is; the same tensor if it is not."""
    if not isinstance(pattern, DTensor) or tensor.dim() == 0:
        return tensor
    return distribute_tensor(tensor, pattern.device_mesh, pattern.placements, src_data_rank=None)


def whole_model(model: RegionClip) -> RegionClip:
    """A copy of a model that is split over the processes, all of whom ask; another as it is."""
    tensors = model.state_dict()
    if not any(isinstance(tensor, DTensor) for tensor in tensors.values()):
        return model
    whole = RegionClip(model.config)
    whole.load_state_dict({name: whole_tensor(tensor) for name, tensor in tensors.items()})
    return whole


class _Gather(torch.autograd.Function):
    """Rows of all processes, of unequal counts; see the head of the file for the gradient."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, counts: Sequence[int], rank: int) -> Tensor:
        start = sum(counts[:rank])
        ctx.own, ctx.processes = slice(start, start + counts[rank]), len(counts)
        padded = own.new_zeros(max(counts), *own.shape[1:])
        padded[: len(own)] = own
        every = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(every, padded)
        return torch.cat([rows[:count] for rows, count in zip(every, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient[ctx.own] * ctx.processes, None, None


def _norm(parameters: Sequence[nn.Parameter]) -> Tensor:
    return whole_tensor(nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None]))


def _some(tensor: Tensor | None, rows: slice | list[int]) -> Tensor | None:
    return None if tensor is None else tensor[rows]


def _blocks(module: nn.Module, split: set[nn.Parameter]) -> list[nn.Module]:
    """The outermost blocks of layers in a list that hold enough moving numbers to travel alone."""
    found: list[nn.Module] = []
    listed = isinstance(module, (nn.ModuleList, nn.Sequential))
    for part in module.children():
        numbers = sum(p.numel() for p in part.parameters() if p in split)
        if listed and numbers >= BLOCK and any(True for _ in part.children()):
            found.append(part)
        else:
            found += _blocks(part, split)
    return found
