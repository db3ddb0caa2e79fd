// The small changes that a test should notice: a comparison turned, a condition widened or narrowed, a statement taken out, a bound moved.
import { parseSync } from "oxc-parser";
import { isFunction, placeOf, walk } from "./walk.mjs";

const TURNED = {
  "<": ["<=", ">="],
  "<=": ["<", ">"],
  ">": [">=", "<="],
  ">=": [">", "<"],
  "===": ["!=="],
  "!==": ["==="],
  "+": ["-"],
  "-": ["+"],
  "*": ["/"],
  "/": ["*"],
  "%": ["*"],
};
const ADDITIONS = new Set(["+", "-"]);
const SWAPPED_CALLS = { some: "every", every: "some", min: "max", max: "min" };
const REMOVED = new Set(["ExpressionStatement", "ThrowStatement", "BreakStatement", "ContinueStatement"]);
/** Numbers from here on are sizes and times: one more of them is the same program to whoever uses it. */
const SMALL_NUMBER = 100;

/**
 * Every mutation of a file. `start`, `end` and `replacement` say what to do; `line` and `inside` where that is; `change` how it reads.
 * Lines of the log and the words of errors
 * are for people and are left alone.
 */
export function mutationsOf(file, text) {
  const { program, errors } = parseSync(file, text, { sourceType: "module" });
  if (errors.length > 0) throw new Error(`${file} cannot be parsed: ${errors[0].message}`);
  const lines = text.split("\n");
  const lineEnds = [];
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) lineEnds.push(at);
  const found = [];
  walk(program, (node, ancestors) => {
    if (isForPeople(node, ancestors, text)) return;
    for (const { start, end, replacement, shown = node } of changesOf(node, ancestors, text)) {
      const line = lineOf(lineEnds, start);
      const before = oneLine(text.slice(shown.start, shown.end));
      const after = oneLine(text.slice(shown.start, start) + replacement + text.slice(end, shown.end));
      found.push({
        file,
        start,
        end,
        replacement,
        line,
        lineText: lines[line - 1].trim(),
        inside: placeOf(ancestors),
        change: after === "" || after === ";" ? `without ${before}` : `${before} => ${after}`,
      });
    }
  });
  return found;
}

function* changesOf(node, ancestors, text) {
  const parent = ancestors.at(-1);
  switch (node.type) {
    case "BinaryExpression":
      yield* operatorTurned(node, text);
      return;
    case "LogicalExpression":
      if (node.operator !== "??") yield operator(node, text, node.operator === "&&" ? "||" : "&&");
      return;
    case "UnaryExpression":
      if (node.operator === "!")
        yield { ...span(node), replacement: text.slice(node.argument.start, node.argument.end) };
      return;
    case "IfStatement":
    case "ConditionalExpression":
      yield { ...span(node.test), replacement: "true", shown: node.test };
      yield { ...span(node.test), replacement: "false", shown: node.test };
      return;
    case "WhileStatement":
    case "ForStatement":
      if (node.test != null && node.test.type !== "Literal")
        yield { ...span(node.test), replacement: "false", shown: node.test };
      return;
    case "ForOfStatement":
      yield { ...span(node), replacement: ";" };
      return;
    case "CallExpression":
      yield* callSwapped(node);
      return;
    case "Literal":
      yield* literalMoved(node, parent);
      return;
    case "AssignmentExpression":
      if (node.operator === "+=" || node.operator === "-=")
        yield operator(node, text, node.operator === "+=" ? "-=" : "+=");
      return;
    case "ReturnStatement":
      if (isEarly(node, ancestors)) yield { ...span(node), replacement: ";" };
      return;
    default:
      if (REMOVED.has(node.type) && node.directive == null && !ends(node, ancestors)) {
        yield { ...span(node), replacement: ";" };
      }
  }
}

function* operatorTurned(node, text) {
  for (const turned of TURNED[node.operator] ?? []) {
    if (ADDITIONS.has(node.operator) && (isText(node.left) || isText(node.right))) continue;
    yield operator(node, text, turned);
  }
}

function operator(node, text, replacement) {
  const start = text.indexOf(node.operator, node.left.end);
  return { start, end: start + node.operator.length, replacement };
}

function* callSwapped({ callee }) {
  const property = callee.type === "MemberExpression" && !callee.computed ? callee.property : undefined;
  const swapped = Object.hasOwn(SWAPPED_CALLS, property?.name ?? "") ? SWAPPED_CALLS[property.name] : undefined;
  if (swapped === undefined) return;
  if (property.name.startsWith("m") && callee.object.name !== "Math") return;
  yield { ...span(property), replacement: swapped, shown: callee };
}

function* literalMoved(node, parent) {
  if (typeof node.value === "boolean") yield { ...span(node), replacement: String(!node.value), shown: parent };
  const number = typeof node.value === "bigint" || typeof node.value === "number" ? Number(node.value) : undefined;
  if (number === undefined || number >= SMALL_NUMBER || (parent.type === "Property" && parent.key === node)) return;
  if (!Number.isInteger(number)) return;
  yield { ...span(node), replacement: `${number + 1}${typeof node.value === "bigint" ? "n" : ""}`, shown: parent };
}

/** A return before a function's end; the last one of a function is what the function is for, and types see that it is gone. */
function isEarly(node, ancestors) {
  const parent = ancestors.at(-1);
  const holder = ancestors.at(-2);
  return !(
    parent.type === "BlockStatement" &&
    parent.body.at(-1) === node &&
    holder !== undefined &&
    isFunction(holder)
  );
}

/** A `break` of a switch's last case changes nothing. */
function ends(node, ancestors) {
  const [holder, group] = [ancestors.at(-2), ancestors.at(-1)];
  return (
    node.type === "BreakStatement" &&
    group.type === "SwitchCase" &&
    holder.cases.at(-1) === group &&
    group.consequent.at(-1) === node
  );
}

function isText(node) {
  return node.type === "TemplateLiteral" || (node.type === "Literal" && typeof node.value === "string");
}

/** Lines of the log, and how the sentence of an error is put together. */
function isForPeople(node, ancestors, text) {
  if (isLogLine(node, text) || ancestors.some((ancestor) => isLogLine(ancestor, text))) return true;
  const sentence = ancestors.findLastIndex(({ type }) => type === "TemplateLiteral");
  return ancestors
    .slice(0, sentence)
    .some(({ type, callee }) => type === "NewExpression" && callee.name?.endsWith("Error"));
}

function isLogLine(node, text) {
  return (
    node.type === "ExpressionStatement" &&
    /^(?:[\w.#]*\.)?(?:log|#log|logger)\??\.(?:trace|debug|info|warn|error)\(/.test(text.slice(node.start, node.end))
  );
}

function span({ start, end }) {
  return { start, end };
}

function oneLine(text) {
  const short = text.replaceAll(/\s+/g, " ").trim();
  return short.length > 120 ? `${short.slice(0, 117)}...` : short;
}

function lineOf(lineEnds, offset) {
  let low = 0;
  let high = lineEnds.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (lineEnds[middle] < offset) low = middle + 1;
    else high = middle;
  }
  return low + 1;
}
