"""The built front end on a page without Jupyter: a model of fifteen lines is its host."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from svr_widget.widget.wire import front_end

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>svr_widget</title>
<style>body {{ margin: 16px; }} {css}</style><div id="host"></div>
<script type="module">
const state = JSON.parse({state}), buffers = JSON.parse({buffers}), listeners = new Map();
for (const [name, text] of Object.entries(buffers))
  state[name] = new DataView(Uint8Array.fromBase64(text).buffer);
const model = {{
  get: (name) => state[name],
  set(name, value) {{ state[name] = value; this.emit(`change:${{name}}`); }},
  save_changes() {{}},
  send(message) {{ window.sent.push(message); }},
  on(name, f) {{ listeners.set(name, [...(listeners.get(name) ?? []), f]); }},
  off(name, f) {{ listeners.set(name, (listeners.get(name) ?? []).filter((g) => g !== f)); }},
  emit(name, ...args) {{ for (const f of listeners.get(name) ?? []) f(...args); }},
}};
Object.assign(window, {{ model, sent: [], listeners }});
const url = URL.createObjectURL(new Blob([JSON.parse({esm})], {{ type: "text/javascript" }}));
const widget = (await import(url)).default;
const abort = new AbortController();
const el = document.getElementById("host");
const cleanup = await widget.render({{ model, el, signal: abort.signal }});
window.unmount = async () => {{ abort.abort(); await cleanup?.(); }};
window.ready = true;
</script></html>
"""


def write(path: Path, state: Mapping[str, Any]) -> str:
    """Write a page that shows a widget in ``state`` (bytes become DataViews); returns its URL."""
    buffers = {k: base64.b64encode(v).decode() for k, v in state.items() if isinstance(v, bytes)}
    rest = {name: value for name, value in state.items() if name not in buffers}
    path.write_text(
        PAGE.format(
            css=front_end.read("widget.css"),
            esm=_literal(front_end.read("widget.js")),
            state=_literal(rest),
            buffers=_literal(buffers),
        ),
        encoding="utf-8",
    )
    return path.as_uri()


def widget_state(widget: Any) -> dict[str, Any]:
    """The synced state of a widget, without the front end itself."""
    state = widget.get_state()
    return {name: state[name] for name in state if name not in ("_esm", "_css", "layout")}


def _literal(value: Any) -> str:
    """A JavaScript string literal of the value's JSON that cannot end the script element."""
    return json.dumps(json.dumps(value)).replace("</", "<\\/").replace("<!--", "<\\!--")
