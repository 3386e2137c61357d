"""The actions: each module carries out the commands of the module of the same name in `commands/`.

`connection`, `enqueue` and `progress` serve several of them.
"""
