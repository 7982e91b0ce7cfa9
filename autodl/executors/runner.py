"""Run one job in this process, whatever it does: the part that serial and remote workers share."""

from __future__ import annotations

import traceback

from autodl.executors.cutoff import Cutoff, TrialInterrupted
from autodl.executors.protocol import Decision, Failed, Finished, Job
from autodl.executors.reporter import Ask, Reporter

MAX_TRACEBACK = 20_000
"""Characters of a traceback that are kept, from its end: recursion can make megabytes."""


def run_job(job: Job, ask: Ask, *, worker: str, cutoff: Cutoff | None = None) -> Finished | Failed:
    """Run the job's function to its end and say how it ended.

    Args:
        job: what to run.
        ask: brings a report to the driver, returns its decision.
        worker: name of this worker, for the messages.
        cutoff: cuts the function at its deadline; None: somebody else does.

    Raises:
        KeyboardInterrupt: the user pressed Ctrl-C: that is about the run, not about the trial.
    """
    cutoff = Cutoff(None) if cutoff is None else cutoff

    def shielded(resource: int, metrics: dict[str, float]) -> Decision:
        with cutoff.shield():
            return ask(resource, metrics)

    try:
        with cutoff:
            job.function(job.config, Reporter(job, shielded))
        decision = Decision.CONTINUE
    except TrialInterrupted as interrupt:
        decision = interrupt.decision
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a trial that exits must not end the run
        return failed_message(job, error, worker)
    finally:
        cutoff.disarm()
    return Finished(job.trial_id, job.attempt, decision, worker)


def failed_message(job: Job, error: BaseException, worker: str) -> Failed:
    """What the driver is told of a job that raised."""
    reason = f"{type(error).__name__}: {error}".strip().splitlines()[0][:500]
    text = "".join(traceback.format_exception(error))
    if len(text) > MAX_TRACEBACK:
        text = "[...]\n" + text[-MAX_TRACEBACK:]
    return Failed(job.trial_id, job.attempt, reason, text, worker)
