// A walk over the syntax tree of a TypeScript file that sees only what is left of it when types are erased.

const TYPES_THAT_RUN = new Set(["TSAsExpression", "TSNonNullExpression", "TSSatisfiesExpression"]);
const DECLARED_ONLY = new Set(["ImportDeclaration", "ExportAllDeclaration", "TemplateElement"]);
const FUNCTIONS = new Set(["FunctionDeclaration", "FunctionExpression", "ArrowFunctionExpression"]);

/** Calls `visit(node, ancestors)` for each node, from the outside in; `ancestors` ends with the parent. */
export function walk(root, visit) {
  const ancestors = [];
  const go = (node) => {
    if (node.type.startsWith("TS") && !TYPES_THAT_RUN.has(node.type)) return;
    if (DECLARED_ONLY.has(node.type)) return;
    visit(node, ancestors);
    ancestors.push(node);
    for (const [key, value] of Object.entries(node)) {
      if (key === "parent" || key === "typeAnnotation" || key === "returnType" || key === "typeArguments") continue;
      if (Array.isArray(value)) value.filter(isNode).forEach(go);
      else if (isNode(value)) go(value);
    }
    ancestors.pop();
  };
  go(root);
}

export function isFunction(node) {
  return FUNCTIONS.has(node.type);
}

/** What a reader calls the place: the names of the functions, methods and constants around it, from the outside in. */
export function placeOf(ancestors) {
  const names = [];
  for (const node of ancestors) {
    const named = node.type === "VariableDeclarator" || node.type === "FunctionDeclaration" ? node.id : undefined;
    const member = ["MethodDefinition", "PropertyDefinition", "Property"].includes(node.type) ? node.key : undefined;
    const name = (named ?? member)?.name;
    if (name !== undefined) names.push(name);
  }
  return names.join(".");
}

function isNode(value) {
  return typeof value === "object" && value !== null && typeof value.type === "string";
}
