import { join } from "node:path";
import { PassThrough } from "node:stream";
import type { Command } from "commander";
import { expect, test } from "vitest";
import { configReference } from "../../src/cli/config/index.ts";
import { FILE_SENTENCES, OWN_CODES } from "../../src/cli/failure.ts";
import { buildProgram } from "../../src/cli/program.ts";
import { ERROR_CODES, EXIT } from "../../src/core/errors.ts";
import { ROOT } from "./tree.ts";

/** These pages are made from the code. After a change: `npx vitest run --project unit tests/tidy/reference.test.ts -u`. */
const page = (name: string): string => join(ROOT, "docs/reference", name);

test("the configuration reference is what the schema says", async () => {
  await expect(configReference()).toMatchFileSnapshot(page("config.md"));
});

test("the command reference is what --help says", async () => {
  const stream = (): PassThrough => new PassThrough();
  const program = buildProgram(() => Promise.resolve(), {
    stdin: stream(),
    stdout: stream(),
    stderr: stream(),
    env: {},
  });
  const parts: string[] = [
    "# Command line\n\nMade from the program's own help. Exit codes: [exit-codes.md](exit-codes.md).\n",
  ];
  const describe = (command: Command, name: string): void => {
    command.configureOutput({ ...command.configureOutput(), getOutHelpWidth: () => 100 });
    let text = "";
    command.configureOutput({ ...command.configureOutput(), writeOut: (piece) => (text += piece) });
    command.outputHelp();
    parts.push(`${name.includes(" ") ? "##" : "#"} ${name}\n\n\`\`\`\n${text.trim()}\n\`\`\`\n`);
    for (const inner of command.commands) describe(inner, `${name} ${inner.name()}`);
  };
  describe(program, "globalfs");
  expect(parts.length).toBeGreaterThan(30);
  await expect(`${parts.join("\n").trimEnd()}\n`).toMatchFileSnapshot(page("cli.md"));
});

const MEANINGS: Readonly<Record<keyof typeof EXIT, string>> = {
  ok: "Done.",
  failure: "Failed; also `status` when a primary site is degraded, and a job that ended without being done.",
  usage: "The command line, the configuration or a key makes no sense.",
  unavailable: "The coordinator or a site cannot be reached, is too busy, or has no space; worth trying again.",
  notFound: "What was asked for does not exist.",
  denied: "The API key is missing or does not allow it, or it is read-only.",
  conflict: "It exists already, or is another version than expected.",
  partial:
    "Done in part: a listing lacks a site, a replication could not be queued, or some of many things failed or were left out.",
  interrupted: "Stopped by Ctrl-C, by SIGTERM, or by a no to a question.",
};

test("the exit code reference is what the error table says", async () => {
  const codes = Object.entries(EXIT).map(([name, exit]) => {
    const names = [
      ...Object.entries(ERROR_CODES).map(([code, meaning]) => [code, meaning.exit] as const),
      ...Object.entries(OWN_CODES),
      ...Object.entries(FILE_SENTENCES).map(([code, [, own]]) => [code, own] as const),
    ]
      .filter(([, own]) => own === exit)
      .map(([code]) => `\`${code}\``)
      .join(", ");
    return `| ${exit} | ${MEANINGS[name as keyof typeof EXIT]} | ${names} |`;
  });
  const text = `# Exit codes

The same for every command. With \`--json\`, errors are one line of JSON on stderr: \`error\`, \`code\`, and where there is one \`hint\`
and \`request_id\`. Commands that go over many things (\`rm\`, \`cp -r\`) go on after a failure and end with a tally, which is their JSON.

| Code | Meaning | Error codes |
|---|---|---|
${codes.join("\n")}
| ${OWN_CODES.BrokenPipe} | The reader of the output went away, as \`head\` does. | \`BrokenPipe\` |
`;
  await expect(text).toMatchFileSnapshot(page("exit-codes.md"));
});
