// The modules that columns stand in, as Python names them.

/** A module of the network that has several columns. */
export interface Module {
  readonly name: string;
  /** The name without what all share. */
  readonly label: string;
  /** The module that it stands in, which comes before it. */
  readonly parent: number | null;
  /** Whether it is folded where nobody says which are. */
  readonly folded: boolean;
  /** Its columns, those of modules within it too. */
  readonly maps: readonly number[];
}

/**
 * Modules with their columns.
 *
 * `innermost` has for each column the module that it stands in, but for those around that.
 */
export function readModules(
  said: readonly Omit<Module, "maps">[],
  innermost: readonly (number | null)[],
): readonly Module[] {
  said.forEach(({ name, parent }, at) => {
    if (parent !== null && !(parent >= 0 && parent < at)) {
      throw new Error(`module "${name}" does not come after the one it stands in`);
    }
  });
  const inside = said.map((): number[] => []);
  innermost.forEach((module, map) => {
    for (let at = module; at !== null; at = said[at].parent) {
      if (!said[at]) throw new Error("a column stands in a module that is not there");
      inside[at].push(map);
    }
  });
  return said.map((module, at) => ({ ...module, maps: inside[at] }));
}
