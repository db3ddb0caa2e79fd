import { type Facts, foldKey, isKnownKey, readKey } from "./condition-keys.ts";
import { parseIpRange } from "./ip-range.ts";
import { compilePattern, matchesPattern, type Pattern } from "./wildcard.ts";

/** Conditions of policies: compiled when the policy is read, refused when we could not hold them. */

export interface Condition {
  readonly key: string;
  readonly operator: string;
  readonly values: readonly string[];
  holds(facts: Facts): boolean;
}

type Test = (value: string, facts: Facts) => boolean;

interface Operator {
  /** Undefined: the value cannot be understood. */
  compile(value: string, context: CompileContext): Test | undefined;
  /** The condition holds when no value matches, and when the request has no such fact. */
  readonly negated?: boolean;
}

interface CompileContext {
  readonly variables: boolean;
}

const exact = (fold: (text: string) => string): Operator["compile"] => {
  return (text, { variables }) => {
    const folded = fold(text);
    if (!variables || !text.includes("${")) return (value) => fold(value) === folded;
    // Wildcards are ordinary characters to these; only variables are put in.
    const pattern = compilePattern(escaped(text), { variables });
    if (pattern === undefined || !knowsVariables(pattern)) return undefined;
    return (value, facts) => {
      const wanted = resolved(pattern, facts);
      return wanted !== undefined && fold(wanted) === fold(value);
    };
  };
};

const like: Operator["compile"] = (text, { variables }) => {
  const pattern = compilePattern(text, { variables });
  if (pattern === undefined || !knowsVariables(pattern)) return undefined;
  return (value, facts) => matchesPattern(pattern, value, (key) => readKey(key, facts)?.[0]);
};

const compared = (
  read: (text: string) => number | undefined,
  compare: (fact: number, value: number) => boolean,
): Operator["compile"] => {
  return (text) => {
    const wanted = read(text);
    if (wanted === undefined) return undefined;
    return (value) => {
      const fact = read(value);
      return fact !== undefined && compare(fact, wanted);
    };
  };
};

const bool: Operator["compile"] = (text) => {
  const wanted = text.toLowerCase();
  if (wanted !== "true" && wanted !== "false") return undefined;
  return (value) => value.toLowerCase() === wanted;
};

const ip: Operator["compile"] = (text) => {
  const range = parseIpRange(text);
  return range === undefined ? undefined : (value) => range.contains(value);
};

const same = (text: string): string => text;
const lower = (text: string): string => text.toLowerCase();

const OPERATORS: ReadonlyMap<string, Operator> = new Map<string, Operator>([
  ["StringEquals", { compile: exact(same) }],
  ["StringNotEquals", { compile: exact(same), negated: true }],
  ["StringEqualsIgnoreCase", { compile: exact(lower) }],
  ["StringNotEqualsIgnoreCase", { compile: exact(lower), negated: true }],
  ["StringLike", { compile: like }],
  ["StringNotLike", { compile: like, negated: true }],
  ["NumericEquals", { compile: compared(readNumber, (fact, value) => fact === value) }],
  ["NumericNotEquals", { compile: compared(readNumber, (fact, value) => fact === value), negated: true }],
  ["NumericLessThan", { compile: compared(readNumber, (fact, value) => fact < value) }],
  ["NumericLessThanEquals", { compile: compared(readNumber, (fact, value) => fact <= value) }],
  ["NumericGreaterThan", { compile: compared(readNumber, (fact, value) => fact > value) }],
  ["NumericGreaterThanEquals", { compile: compared(readNumber, (fact, value) => fact >= value) }],
  ["DateEquals", { compile: compared(readDate, (fact, value) => fact === value) }],
  ["DateNotEquals", { compile: compared(readDate, (fact, value) => fact === value), negated: true }],
  ["DateLessThan", { compile: compared(readDate, (fact, value) => fact < value) }],
  ["DateLessThanEquals", { compile: compared(readDate, (fact, value) => fact <= value) }],
  ["DateGreaterThan", { compile: compared(readDate, (fact, value) => fact > value) }],
  ["DateGreaterThanEquals", { compile: compared(readDate, (fact, value) => fact >= value) }],
  ["Bool", { compile: bool }],
  ["IpAddress", { compile: ip }],
  ["NotIpAddress", { compile: ip, negated: true }],
  ["ArnEquals", { compile: like }],
  ["ArnLike", { compile: like }],
  ["ArnNotEquals", { compile: like, negated: true }],
  ["ArnNotLike", { compile: like, negated: true }],
]);

export type CompiledCondition = { readonly condition: Condition } | { readonly problem: string };

export function compileCondition(
  operatorText: string,
  keyText: string,
  values: readonly string[],
  context: CompileContext,
): CompiledCondition {
  const key = foldKey(keyText);
  if (!isKnownKey(key)) return { problem: `The condition key ${keyText} is not one that can be checked here.` };
  if (operatorText === "Null") return compileNull(key, values);
  const set = /^(ForAllValues|ForAnyValue):/.exec(operatorText)?.[1];
  const bare = set === undefined ? operatorText : operatorText.slice(set.length + 1);
  const ifExists = bare.endsWith("IfExists");
  const operator = OPERATORS.get(ifExists ? bare.slice(0, -"IfExists".length) : bare);
  if (operator === undefined) return { problem: `There is no condition operator ${operatorText} here.` };
  const tests: Test[] = [];
  for (const value of values) {
    const test = operator.compile(value, context);
    if (test === undefined) return { problem: `The operator ${operatorText} cannot compare with the value ${value}.` };
    tests.push(test);
  }
  const negated = operator.negated === true;
  const one: Test = (value, facts) => tests.some((test) => test(value, facts)) !== negated;
  return {
    condition: {
      key,
      operator: operatorText,
      values,
      holds(facts) {
        const found = readKey(key, facts);
        if (found === undefined) return ifExists || (set === undefined ? negated : set === "ForAllValues");
        if (set === "ForAllValues") return found.every((value) => one(value, facts));
        if (set === "ForAnyValue" || !negated) return found.some((value) => one(value, facts));
        return found.every((value) => one(value, facts));
      },
    },
  };
}

function compileNull(key: string, values: readonly string[]): CompiledCondition {
  const wanted = values.map((value) => value.toLowerCase());
  if (wanted.some((value) => value !== "true" && value !== "false")) {
    return { problem: "The operator Null takes true or false." };
  }
  return {
    condition: {
      key,
      operator: "Null",
      values,
      holds: (facts) => wanted.includes(String(readKey(key, facts) === undefined)),
    },
  };
}

/** Whether each `${...}` is the name of a fact that we have. */
export function knowsVariables(pattern: Pattern): boolean {
  return pattern.parts.every((part) => part.kind !== "variable" || isKnownKey(part.key));
}

function escaped(text: string): string {
  return text.replace(/(\$\{[^{}]*\})|[*?]/g, (found, variable: string | undefined) => variable ?? `\${${found}}`);
}

function resolved(pattern: Pattern, facts: Facts): string | undefined {
  if (pattern.literal !== undefined) return pattern.literal;
  let text = "";
  for (const part of pattern.parts) {
    if (part.kind === "text") text += part.text;
    else if (part.kind === "variable") {
      const value = readKey(part.key, facts)?.[0];
      if (value === undefined) return undefined;
      text += value;
    }
  }
  return text;
}

function readNumber(text: string): number | undefined {
  return /^-?\d{1,15}(\.\d{1,9})?$/.test(text) ? Number(text) : undefined;
}

const ISO_DATE = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?$/;

function readDate(text: string): number | undefined {
  if (/^\d{1,12}$/.test(text)) return Number(text) * 1_000;
  if (!ISO_DATE.test(text)) return undefined;
  const zoned = /T.*(Z|[+-]\d\d:?\d\d)$/.test(text) || !text.includes("T") ? text : `${text}Z`;
  const atMs = Date.parse(zoned);
  return Number.isNaN(atMs) ? undefined : atMs;
}
