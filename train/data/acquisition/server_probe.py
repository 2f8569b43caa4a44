"""Is a server there? Asked before TFDS downloads, which without a network retries for minutes."""

import threading
import urllib.parse

SECONDS = 5.0


def unreachable(url: str, seconds: float = SECONDS) -> str | None:
    """None if `url` answers within `seconds`, else the reason in words.

    The same library, proxies and certificates as TFDS uses. A thread bounds the name look-up, which
    has no time-out.
    """
    answers: list[str | None] = []
    thread = threading.Thread(target=_ask, args=(url, seconds, answers), daemon=True)
    thread.start()
    thread.join(seconds)
    return answers[0] if answers else f'{host(url)} gave no answer in {seconds:g} s'


def host(url: str) -> str | None:
    """The host name of a URL."""
    return urllib.parse.urlsplit(url).hostname


def _ask(url: str, seconds: float, answers: list[str | None]) -> None:
    import requests  # comes with TFDS, and only a download needs it

    try:
        with requests.head(url, timeout=seconds, allow_redirects=True) as response:
            ok, status = response.ok, response.status_code
    except requests.RequestException as error:
        answers.append(f'{host(url)} cannot be reached ({type(error).__name__})')
    else:
        answers.append(None if ok else f'{host(url)} answered with HTTP status {status}')
