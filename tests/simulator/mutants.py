"""The protocol with one line taken out. Each of these has to be caught, or somebody has to say why not."""

# What is taken out, and what the auditor then finds.
CAUGHT = {
    "no fence": "under an old token|completed twice|executed",
    "nobody sweeps": "never ends",
    "leases never end": "never ends",
    "nothing is set apart": "never ends",
    "times pass unnoticed": "never ends",
    "revisions never expire": "never ends",
    "parents are not told": "never ends|tell_parent",
    "what nobody waits for costs nothing": "was paid for 0 times",
    "runs below run on": "runs on and nobody waits for it",
    "a key for each attempt": "executed under",
    "careless targets are called again": "was executed",
    "the intent is not written before the call": "without a trace of the intent",
    "what is unknown is called a failure": "called failed and was done",
    "runs are not locked": "its log says",
    "answers of any visit count": "an answer of another visit",
    "a request repeated is a second run": "has two runs",
    "accepted before it is stored": "is lost",
    "effects are released with the proposal": "nobody accepted it|diverges",
    "what can be taken back runs at once": "while its approval can be taken back",
    "an undo does not cancel the command": "still waits to run and was taken back",
    "what is revised still stands": "which still stands itself",
    "what was edited can still be decided": "is superseded and can still be decided",
    "agents answer what nobody asks any more": "is superseded and can still be decided",
    "what nobody waits for can still be approved": "is approved and nobody waits for it",
    "edits are judged like anything else": "was edited and let through",
    "careless targets are rolled back": "was undone [2-9] times",
    "a key for each undoing": "was undone under [2-9] keys",
    "silence is taken for an undoing": "is called undone and was not",
    "nobody hears what was not undone": "was not undone and nobody is told",
    "who failed to roll back is not waited for": "never ends",
    "roll backs end with their run": "never ends",
    "silence of a validator is taken for a yes": "said nothing",
    "what was judged when it came still counts": "beyond the limit",
    "what was heard stays in its run": "was told nothing of what",
    "classes of data stay in their run": "does not know the classes of",
}

# Two that are survived alone and caught together: the bell is heard or looked after, either is enough.
THE_BELL = frozenset({"workers do not look", "nobody rings again"})

# Survived, because something else holds as well.
SURVIVED = {
    "workers do not look": "the sweeper rings again for whatever nobody came for",
    "nobody rings again": "workers look by themselves",
    "what is refused fails its work": "the visit is compared for every ending, so for this one too",
    "decisions can be taken back at any time": "the command says whether it is too late",
    "a command in a worker's hands is cancelled as well": (
        "its intent is stored under its token before the call, and what has begun stays decided"
    ),
    "two may decide": "the controller knows which question is open, of a proposal and of what was lost",
    "validators that stop their workers are set apart": "their time runs out all the same",
    "runs that are over are approved": "what was asked for is withdrawn with the run, item and all",
    "approvals that were taken back still count": "the controller counts who stands by it itself",
}
