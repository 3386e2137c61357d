def render():
    return []
