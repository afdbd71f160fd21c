"""What each finding of the audit means, in three sentences: what it is, what it does to a score, what to do."""

from __future__ import annotations

EXPLAINED: dict[str, tuple[str, str, str]] = {
    "leaky protocol": (
        "Windows of one trial stand in training and in test.",
        "A model then scores by recognising the trial, of which it knows the label, not the feeling.",
        "Hold whole trials, sessions or people out.",
    ),
    "leaky folds": (
        "Windows of one trial were tested in one fold while others of it trained.",
        "A model then scores by recognising the trial, of which it knows the label, not the feeling.",
        "Put whole trials, sessions or people into a fold (GroupKFold) and predict again.",
    ),
    "no folds": (
        "Which windows were tested together is not told.",
        "Whether windows of one trial trained and others of it were tested cannot be seen, and such splits score high.",
        "Add a column fold, or audit the splits themselves as a table of their own.",
    ),
    "no times": (
        "When a window was is not told.",
        "Clocks and the person-swap contrast need it: a reading of the time cannot be told from one of feelings.",
        "Add a column time with the seconds since the session began.",
    ),
    "label-sorted batches": (
        "Trials of one label are longer than those of another.",
        "Batches that are sorted by length to save padding then hold one class each, class weights cancel inside them, "
        "and a network learns badly or learns the length.",
        "Shuffle trials before they are batched, pad or crop them, and compare with a clock that knows the time in the "
        "trial.",
    ),
    "boundaries defined by labels": (
        "Each trial ends where the label changes.",
        "Whatever restarts at a trial, a filter, a running mean or a network's state, then knows how long ago the "
        "label changed, which no device in use would know.",
        "Compare with elapsed_trial, which knows just that, or cut trials by something else than labels.",
    ),
    "times on the trial's clock": (
        "Times count from each trial's beginning.",
        "Overlap between trials and the person-swap contrast, which needs people at equal session times, cannot be "
        "looked at.",
        "Export the time since the session began, or say --time session if these are such times.",
    ),
    "shared schedule": (
        "People go through the labels at about the same times, in one order or in a few.",
        "A model that reads the time, from drift or from its own state, scores without any body signal.",
        "Read the person-swap contrast as a share of its ceiling, and record people in different orders.",
    ),
    "transductive normaliser": (
        "A row was scaled with the whole test session, its future too.",
        "It knows what a device could not know, and a session with few trials of one class is told by its mean.",
        "Scale by the opening minutes or by training trials.",
    ),
    "unequal preprocessing": (
        "Rows that are compared were scaled in different ways.",
        "Their difference is then that of the scaling as much as that of the models.",
        "Give every row the same normaliser and the same clamp.",
    ),
    "not converged": (
        "A network's training loss was still falling when training ended.",
        "Its score, and above all its drop from a leaky to a clean protocol, is that of the budget.",
        "Train on while it falls (--set train.rounds=4), or name the budget beside the score.",
    ),
    "fallbacks": (
        "For some people the normaliser that was asked for had nothing to go by.",
        "They were scaled like the training population, so that two rows named differently may be one.",
        "Record opening minutes, or ask for the normaliser that was used.",
    ),
    "clock": (
        "A feature rises or falls with time in nearly every session.",
        "A model that reads it reads the time, and with it the label where people share a schedule.",
        "Leave the column out; counters and time stamps are no signals.",
    ),
    "trial": (
        "Windows of one trial stand in training and in test.",
        "A model then scores by recognising the trial, of which it knows the label.",
        "Split by whole trials.",
    ),
    "window": (
        "The very same window stands in training and in test.",
        "Its label is simply looked up.",
        "Remove copies before splitting.",
    ),
    "validation": (
        "The validation windows are the test windows.",
        "Stopping and tuning saw the test, so that the best of many tries is reported.",
        "Hold inner groups of the training people out.",
    ),
    "overlap": (
        "A training window and a test window share seconds of one session.",
        "What they share is recognised.",
        "Leave a gap of a window's length, or hold whole sessions out.",
    ),
    "fingerprint": (
        "One nearest neighbour scores above chance on labels shuffled between trials.",
        "The splits let it recognise trials, and any network can do the same.",
        "Hold whole trials out and look again.",
    ),
}
"""By kind of finding."""
