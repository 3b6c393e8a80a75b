def matches(d):
    return False
