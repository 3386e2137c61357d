"""`agent-sessions`: the command line.

    __main__         the program
    program          its commands, put together
    bulk_commands    delete-user, delete-agent, prune, sweep
    key_commands     erase-user-key
    job_commands     jobs list, show, watch, pause, resume, cancel, undo
    receipt_commands receipts list, verify
    check_command    check

Those five import nothing heavy, so that help is there at once. What follows is imported when a command runs:

    connection       the store, and what a command does on it
    requests         asking for a job: dry run, question, enqueuing
    enqueuing        ringing for a job, and whether a worker is there
    following        a job until it ends
    steering         listing, showing and steering jobs
    proofs           receipts and their chain
    checking         a check of the whole store
    erasing          the key of a user
    asking           whether to go on
    output, words    what is printed
"""
