"""`make chaos`: the whole stack at work while everything breaks, and then a verdict.

    __main__   command line and exit status
    driver     one run, from start to verdict
    stack      the processes: server, proxy, workers, Beats, callers, and their restarts
    faults     the faults that are injected
    callers    processes that play `rounds`: users' actions, call by call; `calling` records each answer
    journal    the callers' records
    expected   the state that must hold if callers were told the truth
    found      the state at the end
    verdict    the differences between the two
    report     the tables that are printed

The seed chooses the faults, their order and their pauses, and the callers' actions. Which call meets which
fault is up to the machine. Nothing is judged by a caller's clock: callers wait for a session that is to
expire.
"""
