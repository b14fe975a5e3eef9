"""A headless Chromium that is spoken to over two pipes, by the DevTools protocol; no network, no driver."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

#: Its names, the usual one first.
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")

FOUND = next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One page of a browser of its own."""

    def __init__(self, profile: Path) -> None:
        assert FOUND is not None
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        command = [
            *(FOUND, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"),
            f"--user-data-dir={profile}",
        ]

        # Chromium reads from 3 and writes to 4; a shell puts the pipes there.
        wired = f'exec "$@" 3<&{to_read} 4>&{to_write}'
        self._process = subprocess.Popen(
            ["/bin/bash", "-c", wired, "browser", *command],
            pass_fds=(to_read, to_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self._count, self._left = 0, b""
        self._session: str | None = None
        self.said: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")

    def open(
        self, file: Path, *, scripts: bool = True, width: int = 1280, height: int = 720, dark: bool = False
    ) -> None:
        """Show a file, in a window of so many CSS pixels."""
        self._call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=720, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])
        self.said.clear()
        self._call("Page.navigate", url=file.resolve().as_uri())
        self._wait_for("Page.loadEventFired")

    def ask(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript."""
        found = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, key: str, code: int) -> None:
        """Press a key."""
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        parts = {"key": key, "windowsVirtualKeyCode": code, **({"text": text} if text else {})}
        self._call("Input.dispatchKeyEvent", type="keyDown", **parts)
        self._call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def bare(self) -> None:
        """Hide the bars by which pages are scrolled."""
        self._call("Emulation.setScrollbarsHidden", hidden=True)

    def picture(self) -> bytes:
        """Return what is in the window, as PNG."""
        return base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])

    def printed(self, pages: str = "") -> bytes:
        """Return pages as they are printed, as PDF; all of them without `pages`, as in ``1-3``."""
        return base64.b64decode(self._call("Page.printToPDF", printBackground=True, pageRanges=pages)["data"])

    def close(self) -> None:
        """End it."""
        os.close(self._write)
        os.close(self._read)
        self._process.kill()
        self._process.wait()

    def _call(self, method: str, **parameters: Any) -> Any:
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            found = self._next()
            if found.get("id") == self._count:
                assert "error" not in found, found
                return found["result"]

    def _wait_for(self, method: str) -> None:
        while self._next().get("method") != method:
            pass

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            chunk = os.read(self._read, 1 << 16)
            assert chunk, "the browser ended"
            self._left += chunk
        line, _, self._left = self._left.partition(b"\0")
        found: dict[str, Any] = json.loads(line)
        if found.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown"):
            self.said.append(json.dumps(found["params"]))
        return found
