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
    "a key for each attempt": "executed under",
    "careless targets are called again": "was executed",
    "the intent is not written before the call": "without a trace of the intent",
    "what is unknown is called a failure": "called failed and was done",
    "runs are not locked": "its log says",
    "answers of any visit count": "an answer of another visit",
    "a request repeated is a second run": "has two runs",
    "accepted before it is stored": "is lost",
    "effects are released with the proposal": "nobody accepted it|diverges",
}

# Two that are survived alone and caught together: the bell is heard or looked after, either is enough.
THE_BELL = frozenset({"workers do not look", "nobody rings again"})

# Survived, because something else holds as well.
SURVIVED = {
    "workers do not look": "the sweeper rings again for whatever nobody came for",
    "nobody rings again": "workers look by themselves",
    "two may decide": "the controller refuses a second answer to the same question",
    "what is refused fails its work": "the visit is compared for every ending, so for this one too",
}
