"""What a server's refusal means, for the messages of our errors."""

import re
import ssl

import redis

from manager.script_source import Script

#: Behind an error of a connection that was refused while it was made.
TLS_ADVICE = "(with TLS: one side misses or does not trust the certificate of the other; docs/security.md)"

#: How servers say, from within a script, that their user may not run a command or see a key: Valkey; Redis.
_LACKS_RIGHTS = re.compile("^NOPERM|ACL failure in script|user executing the script can't")
_COMMANDS = re.compile(r"redis\.p?call\('([A-Z]+)'(?:, '([A-Z]+)')?")


def is_refused_tls(error: BaseException | None) -> bool:
    """Whether a connection may have failed because one side of TLS refused the other. (A server that wants
    another certificate from its client, or TLS at all, may just break the connection.)
    """
    while error is not None:
        if isinstance(error, ssl.SSLError | ConnectionResetError | BrokenPipeError):
            return True
        error = error.__cause__ or error.__context__
    return False


def advice_on_rights(reply: Exception, script: Script) -> str:
    """What to say behind a refusal: '' where it is not about rights. Redis does not say which command of a
    script it was, so all are named.
    """
    if not (isinstance(reply, redis.exceptions.NoPermissionError) or _LACKS_RIGHTS.search(str(reply))):
        return ""
    commands = sorted({" ".join(found).strip() for found in _COMMANDS.findall(script.source)})
    return (
        f". This user of the server lacks a right that {script.name}.lua needs, which runs"
        f" {', '.join(commands)}; docs/security.md lists the rights"
    )
