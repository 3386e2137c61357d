"""`make chaos`: the whole stack at work while everything breaks, and then a verdict.

    __main__   what to type, and how it ends
    driver     one run, from start to verdict
    stack      the processes: server, proxy, workers, Beats, callers, and who restarts them
    faults     what is broken
    callers    processes that play `rounds`: what users do, call by call; `calling` writes down each answer
    journal    what they write
    expected   what must be true if they were told the truth
    found      what is true in the end
    verdict    how the two differ
    report     the tables that are printed

The seed chooses the faults, their order and their pauses, and what each caller does; what meets what is up to
the machine. Nothing is judged by a caller's clock: a session that is to run out is waited for.
"""
