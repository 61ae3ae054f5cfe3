"""What a failure of a rule does, as the end of a sentence about a proposal."""

OTHERWISE = {
    "block": "is blocked, and nothing runs",
    "hold": "waits for a person",
    "two_person": "waits for two people",
    "flag": "goes on, and that is recorded",
}
