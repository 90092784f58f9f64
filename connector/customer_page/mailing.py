"""One plain message by SMTP, for bookkeepers only: never to a customer, and only where a server is named."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate
from urllib.parse import unquote, urlsplit

from connector.config import LOCAL_HOSTS, Config

TIMEOUT = 20  # seconds
PORTS = {"smtp": 587, "smtps": 465}


class Unsent(Exception):
    """The server did not take it. `str()` names the kind of trouble, never the address or a word of the message."""


def send(config: Config, to: str, subject: str, text: str, *, key: str) -> None:
    """Hand one message over. `key` makes its Message-ID: the same one sent twice is shown once by most readers.

    Outside this machine the way is encrypted, or nothing is sent. Raises Unsent.
    """
    where = urlsplit(config.smtp_url)
    host, port = where.hostname or "", where.port or PORTS[where.scheme]
    try:
        message = _message(config, to, subject, text, key)
        with _connected(where.scheme, host, port) as server:
            if where.username:
                server.login(unquote(where.username), unquote(where.password or ""))
            server.send_message(message)
    except smtplib.SMTPResponseException as problem:
        raise Unsent(f"{type(problem).__name__} {problem.smtp_code}") from None
    except (OSError, ValueError) as problem:  # SMTPException is an OSError
        raise Unsent(type(problem).__name__) from None


def _connected(scheme: str, host: str, port: int) -> smtplib.SMTP:
    safely = ssl.create_default_context()
    if scheme == "smtps":
        return smtplib.SMTP_SSL(host, port, timeout=TIMEOUT, context=safely)
    server = smtplib.SMTP(host, port, timeout=TIMEOUT)
    try:
        server.ehlo()
        if host not in LOCAL_HOSTS:
            server.starttls(context=safely)  # raises where the server cannot
    except BaseException:
        server.close()
        raise
    return server


def _message(config: Config, to: str, subject: str, text: str, key: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = config.mail_from, to, subject
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{key}@{urlsplit(config.public_url).hostname}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    return message
