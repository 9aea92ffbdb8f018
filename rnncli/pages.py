"""Self-contained HTML pages: one file, no script, nothing fetched, light and dark, readable on a phone."""

from html import escape

# No request can leave the page, whatever a text in it may hold.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

_STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1c1e21; --faint: #61666d; --line: #d9dce0; --panel: #f5f6f8;
  --blue: #1f6fb2; --orange: #c25a00; --green: #2a7f3f; --red: #b3261e; --violet: #7a4fb5;
  --for: 31, 111, 178; --against: 214, 104, 0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #16181b; --ink: #e6e8eb; --faint: #a0a6ad; --line: #383c42; --panel: #1f2226;
    --blue: #6db3f2; --orange: #f2a25c; --green: #74c58a; --red: #f28b82; --violet: #c0a0ee;
    --for: 84, 160, 230; --against: 226, 130, 40;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 62rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word;
}
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; } h3 { font-size: 1rem; }
a { color: var(--blue); }
.faint { color: var(--faint); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 0.8rem 0.2rem 0; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; } .number { text-align: right; }
pre { background: var(--panel); padding: 0.8rem; overflow-x: auto; font-size: 0.85rem; }
figure { margin: 1rem 0; overflow-x: auto; } figure svg { max-width: 100%; height: auto; }
figcaption { color: var(--faint); font-size: 0.9rem; }
nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: 0.2rem 1rem; }
"""


def page(title: str, body: str, *, style: str = "") -> str:
    """Return a whole HTML page.

    Parameters
    ----------
    title : str
        Text, not HTML.
    body : str
        HTML. Colours are the custom properties of the style sheet, such as ``var(--ink)``, which differ in light and
        dark.
    style : str
        More CSS.

    Returns
    -------
    str
        One file that needs no other.
    """
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_STYLE}{style}</style>
</head>
<body>
<h1>{escape(title)}</h1>
{body}
</body>
</html>
"""
