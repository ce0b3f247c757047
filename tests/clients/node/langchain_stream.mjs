/**
 * @langchain/openai: `new ChatOpenAI(...).bindTools(...).stream(...)`, the chunks added up with `concat`.
 *
 * A call that LangChain puts under `invalid_tool_calls` is reported among the calls, with what it says as `problem`.
 */

import { KEY, TIMEOUT, call, choice, load, serve } from "./_driver.mjs";

process.env.LANGSMITH_TRACING = process.env.LANGCHAIN_TRACING_V2 = "false";
const { ChatOpenAI } = await load("langchain-node", "@langchain/openai");
const { concat } = await load("langchain-node", "@langchain/core/utils/stream");

await serve(async (one) => {
  const llm = new ChatOpenAI({
    model: one.model,
    apiKey: KEY,
    maxRetries: 0,
    timeout: TIMEOUT,
    streamUsage: true,
    configuration: { baseURL: one.baseUrl },
  });
  let gathered;
  for await (const chunk of await llm.bindTools(one.tools).stream(one.messages)) {
    gathered = gathered === undefined ? chunk : concat(gathered, chunk);
  }
  if (gathered === undefined) return { choices: [] };
  const calls = (gathered.tool_calls ?? []).map(({ id, name, args }) => call(id, name, args));
  for (const { id, name, args, error } of gathered.invalid_tool_calls ?? []) {
    calls.push(call(id, name, args, { problem: error ?? "an invalid tool call" }));
  }
  const spent = gathered.usage_metadata;
  return {
    choices: [
      choice(gathered.content, calls, {
        refusal: gathered.additional_kwargs?.refusal,
        finish_reason: gathered.response_metadata?.finish_reason,
      }),
    ],
    usage: spent && {
      prompt_tokens: spent.input_tokens,
      completion_tokens: spent.output_tokens,
      total_tokens: spent.total_tokens,
    },
  };
});
