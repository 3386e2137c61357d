"""The command line `agent-sessions`.

__main__   start the program
program    put the commands together
commands/  the options and the help of each command; imports nothing heavy, so `--help` is quick
actions/   carry out each command, in a module of the same name; imported when the command runs
terminal/  the dialogue with a person: output, formatting, confirmation, exit status
"""
