"""The laws of chance, and multiple testing over them: FDR, Bonferroni, sigma, p."""
