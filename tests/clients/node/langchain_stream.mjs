/**
 * @langchain/openai: `new ChatOpenAI(...).bindTools(...).stream(...)`, the chunks added up with `concat`.
 *
 * A call whose arguments cannot be read stands under `invalid_tool_calls`, where LangChain puts it; it is no tool call.
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
  const invalid = gathered.invalid_tool_calls?.length ? gathered.invalid_tool_calls : undefined;
  const calls = gathered.tool_calls?.map(({ id, name, args }) => call(id, name, args));
  const spent = gathered.usage_metadata;
  return {
    choices: [
      choice(gathered.content, calls, {
        invalid_tool_calls: invalid,
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
