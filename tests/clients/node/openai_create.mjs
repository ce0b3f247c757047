/**
 * openai, `chat.completions.create({ stream: true })`: the loop of OpenAI's guides to streaming and function calling.
 *
 * As in `python/openai_create.py`: the guide's steps, and two that are ours.
 */

import { KEY, TIMEOUT, choice, load, serve } from "./_driver.mjs";

const { default: OpenAI } = await load("openai-node", "openai");

await serve(async (one) => {
  const client = new OpenAI({ baseURL: one.baseUrl, apiKey: KEY, maxRetries: 0, timeout: TIMEOUT });
  const stream = await client.chat.completions.create({
    model: one.model,
    messages: one.messages,
    tools: one.tools,
    stream: true,
    stream_options: { include_usage: true },
  });
  let content = "";
  let refusal = "";
  let finish_reason = null;
  let usage;
  const finalToolCalls = {};
  for await (const chunk of stream) {
    usage = chunk.usage ?? usage;
    if (!chunk.choices?.length) continue;
    const { delta } = chunk.choices[0];
    content += delta.content ?? "";
    refusal += delta.refusal ?? "";
    finish_reason = chunk.choices[0].finish_reason ?? finish_reason;
    for (const toolCall of delta.tool_calls || []) {
      const { index } = toolCall;
      if (!finalToolCalls[index]) {
        finalToolCalls[index] = toolCall;
      }
      finalToolCalls[index].function.arguments += toolCall.function.arguments;
    }
  }
  const further = { refusal: refusal || undefined, finish_reason };
  return { choices: [choice(content, Object.values(finalToolCalls), further)], usage };
});
