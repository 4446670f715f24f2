import { describe, expect, it } from "vitest";
import { devHost } from "../../dev/host.js";
import { comparisonAsPython, literal, viewAsPython } from "../../src/export/python.js";

describe("viewAsPython", () => {
  it("sets the threshold by its mode, and every trait of the view", () => {
    const host = devHost({
      threshold_mode: "sigma",
      threshold: 4.5,
      y_scale: "log",
      colour: "chance",
      selected: [["conv\"1'\n", 3]],
      selected_link: ["a", "b"],
      folded: ["h.0"],
      panes: [],
    });
    expect(viewAsPython(host)).toBe(
      [
        "widget.set_threshold(sigma=4.5)",
        'widget.null = "exact"',
        'widget.y_scale = "log"',
        'widget.colour = "chance"',
        'widget.selected = [("conv\\"1\'\\n", 3)]',
        'widget.selected_link = ["a", "b"]',
        'widget.folded = ["h.0"]',
        "widget.panes = []",
        "widget.camera = None",
        "",
      ].join("\n"),
    );
  });

  it("sets of a comparison what all share once, and what each network has of its own", () => {
    const [base, tuned] = [devHost({ threshold: 0.1 }), devHost({ selected_link: ["a", "b"] })];
    const lines = comparisonAsPython([base, tuned], { view: "difference", least: 0.4 }).split("\n");
    expect(lines.slice(0, 3)).toEqual([
      'both.view = "difference"',
      "both.least = 0.4",
      "both.left.set_threshold(fdr=0.1)",
    ]);
    expect(lines.filter((line) => line.startsWith("both.sides"))).toEqual([
      'both.sides[1].selected_link = ["a", "b"]',
      "both.sides[1].folded = None",
      "both.sides[1].camera = None",
    ]);
  });

  it("writes Python's words for what JSON writes otherwise", () => {
    expect(literal(null)).toBe("None");
    expect(literal(true)).toBe("True");
    expect(literal(1e-300)).toBe("1e-300");
    expect(literal([[1]])).toBe("[(1,)]");
    expect(literal({ zoom: 2, x: [1, 2] })).toBe('{"zoom": 2, "x": (1, 2)}');
  });
});
