// Which tests run which statement: each statement of a file first says that it is reached.
import { parseSync } from "oxc-parser";
import { walk } from "./walk.mjs";

const LISTS = new Set(["BlockStatement", "SwitchCase"]);
const BODIES = { IfStatement: ["consequent", "alternate"], ForStatement: ["body"], ForOfStatement: ["body"] };
const DECLARED = new Set(["FunctionDeclaration", "ClassDeclaration"]);

/**
 * The text with probes, numbered from `first`, and a function that names the probe of an offset: that of the innermost statement around it, or
 * undefined for what runs when the module is loaded.
 */
export function addProbes(file, text, first) {
  const { program } = parseSync(file, text, { sourceType: "module" });
  const places = [];
  walk(program, (node, ancestors) => {
    const parent = ancestors.at(-1);
    if (parent === undefined || node.directive != null) return;
    if (LISTS.has(parent.type) && (parent.body ?? parent.consequent).includes(node)) {
      if (!DECLARED.has(node.type)) places.push({ node, before: (call) => `${call};`, after: "" });
    } else if (BODIES[parent.type]?.some((key) => parent[key] === node) && node.type !== "BlockStatement") {
      places.push({ node, before: (call) => `{${call};`, after: "}" });
    } else if (parent.type === "ArrowFunctionExpression" && parent.body === node && node.type !== "BlockStatement") {
      places.push({ node, before: (call) => `(${call},`, after: ")" });
    }
  });
  const inserts = places.flatMap(({ node, before, after }, index) => [
    // What ends somewhere is closed before what begins there; of what begins there the outer comes first, of what ends there the inner.
    { at: node.start, order: text.length - node.end, text: before(`globalThis.__reached?.(${first + index})`) },
    { at: node.end, order: -1 - node.start, text: after },
  ]);
  inserts.sort((a, b) => a.at - b.at || a.order - b.order);
  let probed = "";
  let from = 0;
  for (const { at, text: inserted } of inserts) {
    probed += text.slice(from, at) + inserted;
    from = at;
  }
  return {
    text: probed + text.slice(from),
    count: places.length,
    probeAt: (start, end) => {
      let best;
      for (const [index, { node }] of places.entries()) {
        if (node.start > start || node.end < end) continue;
        if (best === undefined || node.end - node.start <= best.size) best = { index, size: node.end - node.start };
      }
      return best === undefined ? undefined : first + best.index;
    },
  };
}
