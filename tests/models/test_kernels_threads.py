"""Compiled kernels on several threads, from several callers, after fork and spawn."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from insula.models.kernels import neural
from insula.models.kernels.threads import run_shards


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def gradient() -> Tensor:
    """Gradient of a recurrent weight, the sum over many shards, by compiled kernels only.

    (torch's own matrix products on two threads hang in a forked child whose parent used them.)
    """
    random = torch.Generator().manual_seed(0)
    recurrent = torch.randn(20, 20, generator=random).requires_grad_()
    rate, gain, reversal, bias = torch.rand(4, 20, generator=random)
    u, elapsed = torch.randn(40, 6, 3, generator=random), torch.rand(40, 6, 1, generator=random)
    weight = torch.randn(3, 20, generator=random)
    zeros = torch.zeros(40, 20)
    out = neural.integrate(u, elapsed, weight, bias, recurrent, rate, gain, reversal, zeros, 2, "fused")
    out.square().sum().backward()
    assert recurrent.grad is not None
    return recurrent.grad


def test_each_shard_runs_once_and_errors_arrive() -> None:
    done: list[int] = []
    run_shards(done.append, 50)
    assert sorted(done) == list(range(50))

    def fail(shard: int) -> None:
        if shard == 3:
            raise ValueError("shard three")

    with pytest.raises(ValueError, match="shard three"):
        run_shards(fail, 8)
    run_shards(done.append, 3)
    assert len(done) == 53


def test_one_thread_runs_in_the_callers_thread() -> None:
    torch.set_num_threads(1)
    names: set[str] = set()
    run_shards(lambda _: names.add(threading.current_thread().name), 20)
    assert names == {threading.current_thread().name}


def test_a_helper_takes_part() -> None:
    meeting = threading.Barrier(2, timeout=30)
    names: set[str] = set()

    def task(_shard: int) -> None:
        names.add(threading.current_thread().name)
        meeting.wait()

    run_shards(task, 2)
    assert len(names) == 2


def test_sums_do_not_depend_on_the_number_of_threads() -> None:
    two = gradient()
    torch.set_num_threads(1)
    assert torch.equal(gradient(), two)


def test_several_callers_at_once() -> None:
    expected = gradient()
    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(lambda _: gradient(), range(12)):
            assert torch.equal(got, expected)


def _in_child(pipe: multiprocessing.connection.Connection, threads: int) -> None:
    torch.set_num_threads(threads)
    pipe.send(gradient().tolist())
    pipe.close()


def child(method: str, threads: int) -> Tensor:
    context = multiprocessing.get_context(method)
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_in_child, args=(there, threads))
    process.start()
    there.close()
    try:
        assert here.poll(300), "the child gave no answer"
        answer = here.recv()
    finally:
        process.join(300)
        if process.is_alive():
            process.kill()
    assert process.exitcode == 0
    return torch.tensor(answer)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_its_own_pool() -> None:
    expected = gradient()  # the parent's pool exists
    run_shards(lambda _: None, 4)
    assert torch.equal(child("fork", 2), expected)
    assert torch.equal(gradient(), expected)


@pytest.mark.slow
def test_a_spawned_child_computes_the_same() -> None:
    assert torch.equal(child("spawn", 2), gradient())
