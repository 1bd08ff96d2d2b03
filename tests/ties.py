"""What behaviours of one user and time are ordered by, written once more."""

from hashlib import md5


def tie_key(user: object, item: object) -> str:
    return md5(f"{user}\t{item}".encode()).hexdigest()
