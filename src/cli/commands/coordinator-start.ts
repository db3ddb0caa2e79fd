import { type CliContext, note, type Outcome } from "../context.ts";
import { loadConfig } from "../config/index.ts";

export async function coordinatorStart(context: CliContext, options: { readonly config: string }): Outcome {
  const { config, warnings } = await loadConfig({ path: options.config, env: context.terminal.env });
  for (const warning of warnings) note(context, `globalfs: ${warning}`);
  const { runCoordinator } = await import("../daemons/coordinator.ts");
  await runCoordinator({ config, configPath: options.config, signal: context.signal, onReady: () => undefined });
  return undefined;
}
