// A cell that displayed the widget has a picture in an output of its own, for where the widget is
// not to be had: GitHub, nbconvert, a notebook whose widgets were not saved. While the widget is
// there, the picture is hidden.

/** What the PNGs of svr_widget/widget/cells/pictures.py have near their start. */
const MARK = "svr_widget";
const NEAR = 120;
const DATA = "data:image/png;base64,";
/** Stands in for a picture that is still to come. */
const PLACEHOLDER = ".svr-widget-picture";

/** Hides the pictures among the outputs of the cell that `element` is in, until the signal. */
export function hideSavedPictures(element: HTMLElement, signal: AbortSignal): void {
  const hidden = new Set<HTMLElement>();
  const watched = new Set<Element>();
  const observer = new MutationObserver(() => sweep());
  let outputs: Element | null = null;

  const sweep = () => {
    for (const output of outputs?.children ?? []) {
      // What the widget itself draws is no news.
      if (!(output instanceof HTMLElement) || output.contains(element)) continue;
      if (!watched.has(output)) {
        // JupyterLab puts an output into the page before it renders it.
        observer.observe(output, { childList: true, subtree: true });
        watched.add(output);
      }
      if (hidden.has(output) || !isPicture(output)) continue;
      output.style.display = "none";
      hidden.add(output);
    }
  };
  // JupyterLab renders a view before it puts it into the page.
  const find = () => {
    if (signal.aborted) return;
    outputs = element.closest(".jp-OutputArea");
    if (outputs) {
      observer.observe(outputs, { childList: true });
      sweep();
    } else if (!element.isConnected) {
      requestAnimationFrame(find);
    }
  };
  find();
  signal.addEventListener(
    "abort",
    () => {
      observer.disconnect();
      for (const output of hidden) output.style.display = "";
    },
    { once: true },
  );
}

function isPicture(output: Element): boolean {
  if (output.querySelector(PLACEHOLDER)) return true;
  return [...output.querySelectorAll("img")].some(
    ({ src }) => src.startsWith(DATA) && isMarked(src.slice(DATA.length, DATA.length + NEAR)),
  );
}

function isMarked(start: string): boolean {
  try {
    return atob(start).includes(MARK);
  } catch {
    return false; // another's image, and no base64
  }
}
