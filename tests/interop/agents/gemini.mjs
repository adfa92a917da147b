// Gemini CLI without a user, for whom every tool call is allowed (`trust`).

import { start, withHome, within } from './program.mjs';

export const name = 'gemini';

export function run(model, server) {
  const connection = server.url ? { httpUrl: server.url } : server;
  const settings = {
    mcpServers: { posthog: { ...connection, trust: true } },
    security: { auth: { selectedType: 'gemini-api-key' } },
    privacy: { usageStatisticsEnabled: false },
    general: { enableAutoUpdate: false },
  };
  return withHome({ '.gemini/settings.json': JSON.stringify(settings) }, async (home) => {
    const child = start(home, ['.bin/gemini', '--model', 'gemini-2.5-pro', '--prompt', 'Go on.'], {
      GEMINI_API_KEY: 'simulated',
      GOOGLE_GEMINI_BASE_URL: model.url,
      GEMINI_CLI_TRUST_WORKSPACE: 'true',
    });
    child.stdin.end();
    await within(child, child.ended);
  });
}
