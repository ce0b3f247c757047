# The payloads of Chat Completions gathered in the obvious way: the first choice counts, a call begins with the first
# entry of its index, and arguments are appended. An error in the stream is an error of the program too.
if any(.[]; .error) then error(map(.error | select(.) | tojson) | first) else . end
| map(.choices[0] // empty) as $choices
| ($choices | map(.delta.tool_calls // []) | add // [] | group_by(.index) | map({
    id: .[0].id,
    type: "function",
    function: {name: .[0].function.name, arguments: (map(.function.arguments // "") | add)}
  })) as $calls
| {
    choices: [{
      index: 0,
      message: {
        role: "assistant",
        content: ($choices | map(.delta.content // "") | add // ""),
        tool_calls: $calls
      },
      finish_reason: ($choices | map(.finish_reason // empty) | last)
    }]
  } + (map(.usage // empty) | last | if . then {usage: .} else {} end)
