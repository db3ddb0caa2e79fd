import { type Command, InvalidArgumentError } from "commander";
import { type Action, examples } from "../action.ts";
import type { Outcome } from "../context.ts";

export function defineCompletion(program: Command, action: Action): void {
  program
    .command("completion")
    .description("print a completion script for a shell")
    .argument("<shell>", "bash, zsh, fish or powershell", shellName)
    .addHelpText(
      "after",
      examples(
        "source <(globalfs completion bash)",
        "globalfs completion fish > ~/.config/fish/completions/globalfs.fish",
      ),
    )
    .action(action((_context, _options, [shell]) => completion(shell as string)));
}

function shellName(text: string): string {
  if (["bash", "zsh", "fish", "powershell"].includes(text)) return text;
  throw new InvalidArgumentError("Known shells are bash, zsh, fish and powershell.");
}

/** The script asks `globalfs complete -- WORDS` while a person types. */
async function completion(shell: string): Outcome {
  const { default: tab } = await import("@bomb.sh/tab");
  tab.setup("globalfs", "globalfs", shell);
  return undefined;
}
