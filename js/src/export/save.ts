// Files from the page: what is offered to the browser to save, and PNG from SVG.

/** Offers a file of this name to the person, as a download. */
export function download(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser reads the URL after the click; an hour later nobody waits for it.
  setTimeout(() => URL.revokeObjectURL(url), 3_600_000);
}

/** An SVG as PNG, `ratio` pixels to each of its own. */
export async function pngOf(svg: string, ratio: number): Promise<Blob> {
  const url = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(image.width * ratio);
    canvas.height = Math.round(image.height * ratio);
    const context = canvas.getContext("2d");
    if (!context) throw new Error("this browser gives no 2D canvas");
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise<Blob | null>((done) => canvas.toBlob(done, "image/png"));
    if (!blob) throw new Error("the picture is too large for this browser");
    return blob;
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** A model's name as the beginning of a file's name. */
export function fileName(model: string): string {
  const plain = model.normalize("NFKD").replace(/[^\w-]+/g, "-");
  return plain.replace(/^-+|-+$/g, "").slice(0, 60) || "svr";
}
