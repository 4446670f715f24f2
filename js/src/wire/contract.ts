// What Python and the page must agree on, each fact once. Not written by hand:
// `python -m svr_widget.widget.wire.contract` writes it from Python's own values.

export const CONTRACT = {
  "methods": [
    "svr",
    "cosvr",
    "cross"
  ],
  "norms": [
    "ignore",
    "fold"
  ],
  "modes": [
    "fdr",
    "p",
    "sigma",
    "bonferroni"
  ],
  "laws": [
    "exact",
    "chi2"
  ],
  "y_scales": [
    "auto",
    "linear",
    "log",
    "relative",
    "rank"
  ],
  "colours": [
    "chance",
    "paper"
  ],
  "certain": 0.001,
  "themes": [
    "auto",
    "light",
    "dark"
  ],
  "panes": [
    "adjacency",
    "links",
    "images",
    "filters",
    "table"
  ],
  "matrices": [
    "adjacency",
    "cross",
    "output"
  ],
  "comparison_views": [
    "beside",
    "difference"
  ],
  "kinds": [
    "linear",
    "convolution",
    "transposed convolution",
    "embedding",
    "attention"
  ],
  "levels": {
    "fdr": {
      "default": 0.05,
      "lowest": 0,
      "highest": 1,
      "includes": [
        false,
        false
      ]
    },
    "p": {
      "default": 0.001,
      "lowest": 0,
      "highest": 1,
      "includes": [
        false,
        true
      ]
    },
    "sigma": {
      "default": 4.0,
      "lowest": -37,
      "highest": 37,
      "includes": [
        true,
        true
      ]
    },
    "bonferroni": {
      "default": 0.05,
      "lowest": 0,
      "highest": 1,
      "includes": [
        false,
        true
      ]
    }
  },
  "filters": {
    "first_neurons": 4,
    "most_neurons": 6,
    "most_channels": 64
  },
  "images": {
    "most_columns": 12,
    "most_positions": 96
  },
  "tile": 256
} as const;
