"""Which entries of the catalogue make the shapes that broke real clients of LLM streams, and how to see it in a body.

A shape is one way in which streams differ or break, found in the reports that the entries cite. Its number says where
it sits: L0 bytes and transport, L1 framing, L2 JSON, L3 deltas (R: Responses, A: Messages), L4 faults. What cuts alone
make, any fragmentation makes; what needs a clock or a socket, replay and its server make.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

__all__ = ["OTHERS", "SHAPES", "Shape"]


@dataclass
class Shape:
    """One shape.

    Attributes:
        says: what it is.
        entries: the class of each entry that makes it, by name.
        part: the module that makes it, where no entry alone does.
    """

    says: str
    entries: dict[str, str] = field(default_factory=dict)
    part: str = ""


_TABLE = """
# bytes and transport

L0-01 a character is cut between two chunks
    part: streamkit.wire.fragmentation
L0-02 a line of an event is cut between two chunks
    part: streamkit.wire.fragmentation
L0-03 many events come in one chunk
    part: streamkit.wire.fragmentation
L0-04 CRLF is cut between its two characters
    preserving: line_ends
    part: streamkit.wire.fragmentation
L0-05 lines end with CRLF
    preserving: line_ends
L0-06 U+2028, U+2029 or U+0085 stand raw in a text
    preserving: raw_characters separators_in_deltas unicode_separators
L0-07 they stand raw in arguments
    preserving: separators_in_deltas unicode_separators
L0-08 the body is compressed
    part: streamkit.replay.verify
L0-09 a line is longer than the limits of readers
    preserving: huge_line
L0-10 a text holds what looks like framing
    preserving: framing_in_deltas framing_in_text
L0-11 an event must be dispatched when its blank line is complete
    part: streamkit.wire.fragmentation

# framing

L1-01 comments keep the connection open
    preserving: comments
L1-02 a comment alone is followed by a blank line
    preserving: comments
L1-03 a block holds `retry` or `id` alone
    preserving: id_fields nameless_blocks retry_block
L1-04 comments follow an event with an id
    preserving: sticky_id
L1-05 an event has empty data
    dialect: empty_data
L1-06 a gateway has wrapped a comment as data
    dialect: comment_as_data
L1-07 no space follows the colon
    preserving: space_after_colon
L1-08 more than one space begins the data
    preserving: json_whitespace
L1-09 the body begins with a byte order mark
    preserving: bom
L1-10 lines end with CR, or in several ways
    preserving: blank_lines line_ends
L1-11 one event has several `data` lines
    preserving: data_lines
L1-12 the last event lacks its blank line
    dialect: unterminated_last_event
L1-13 [DONE] is written otherwise
    dialect: done_spelling messages_done responses_done_sentinel
L1-14 [DONE] does not come
    dialect: cohere_no_done done_absent
L1-15 more comes after [DONE]
    preserving: junk_after_done
    dialect: ollama_line_after_done
L1-16 the server keeps the socket open after [DONE]
    part: streamkit.replay.delivery
L1-17 events of another kind come in between
    preserving: messages_ping
    dialect: foreign_events
L1-18 an error is written as JSON without framing
    dialect: bare_error
    fault: not_a_stream

# JSON

L2-01 null stands where a field was absent
    preserving: cohere_null_fields completions_null_fields null_absent
    dialect: gemini_null_fields messages_nulls ollama_null_fields
L2-02 fields come that nobody knows
    preserving: bedrock_unknown_fields unknown_fields unknown_fields_of_events
    dialect: responses_unknown_fields
L2-03 a tool call has a field of the provider's own
    dialect: call_extra gemini_thought_signature
L2-04 usage is empty, or of another shape
    dialect: bedrock_no_metadata cohere_no_usage empty_usage ollama_no_counts responses_no_usage
L2-05 characters are written as escapes, in pairs of surrogates
    preserving: json_escapes
L2-06 the halves of a pair come in two deltas
    dialect: bedrock_surrogate_halves surrogate_halves surrogate_halves_in_deltas
L2-07 arguments are cut inside an escape
    preserving: escape_cuts messages_escape_cuts split_arguments
L2-08 a log probability is no number of JSON
    dialect: nan_logprobs
L2-09 a string holds }{
    preserving: escape_cuts framing_in_deltas framing_in_text
L2-10 the same JSON is written otherwise
    preserving: bedrock_json_style gemini_array_space json_escapes json_whitespace key_order raw_characters
L2-11 an event is no JSON
    fault: broken_json
L2-12 an event is not UTF-8
    fault: bad_utf8
L2-13 choices are null, absent, or an empty object
    dialect: choices_null

# deltas of chat

L3-01 a preamble has no choices and empty identity
    dialect: azure_noise
L3-02 a choice has no delta
    dialect: azure_noise
L3-03 usage comes in a payload without choices
    preserving: completions_usage_added usage_added usage_placement
L3-04 usage comes with every payload, cumulative
    dialect: completions_usage_running gemini_usage_running usage_every_payload usage_running
L3-05 usage comes with the finish reason
    preserving: completions_usage_elsewhere gemini_usage_alone usage_added usage_placement
L3-06 null usage follows the usage
    dialect: usage_null_after usage_running
L3-07 calls have no index
    dialect: bedrock_missing_index cohere_missing_index drop_index second_call
L3-08 parallel calls share an index
    dialect: collapse_index ollama_one_index second_call
L3-09 indexes begin at 1, or have gaps
    dialect: messages_index_gaps renumber_index
L3-10 an index is negative
    dialect: renumber_index
L3-11 index 1 comes before index 0
    dialect: index_out_of_order second_call
L3-12 a call goes on at another index
    dialect: index_drift messages_delta_after_stop messages_no_block_start messages_strange_index
    fault: arguments_astray bedrock_lost_start cohere_lost_start
L3-13 one call comes at several indexes
    dialect: duplicate_tail index_drift
L3-14 two entries of one call come in a payload
    preserving: coalesce_calls
L3-15 two entries of one choice come in a payload
    dialect: duplicate_choice
L3-16 several calls come in a payload
    preserving: coalesce_calls gemini_merge_payloads gemini_split_parts ollama_calls_apart ollama_calls_together
    dialect: cohere_second_call gemini_second_call ollama_second_call second_call
L3-17 fragments of calls come in turns
    preserving: interleave_calls messages_interleaved responses_interleaved_calls
    dialect: bedrock_interleave_blocks cohere_interleave_calls second_call
L3-18 the id comes with every fragment
    dialect: repeat_id_name
L3-19 the name comes with every fragment
    dialect: repeat_id_name
L3-20 the name comes in pieces
    dialect: split_name
L3-21 the name comes after arguments
    dialect: late_name
L3-22 an empty id, name or type comes on the way
    dialect: null_absent_empty
L3-23 a call has no id
    dialect: drop_id gemini_call_ids
L3-24 every fragment has another id
    dialect: id_churn responses_other_item_ids
L3-25 the type is absent, or comes last
    preserving: type_missing
L3-26 arguments are null or absent in an entry
    preserving: null_absent null_arguments
L3-27 a call's function is null or empty
    dialect: function_null
L3-28 arguments are an object where text belongs, or the reverse
    dialect: arguments_object gemini_arguments_as_text ollama_arguments_as_text
L3-29 a tool is called without arguments
    preserving: messages_no_empty_delta
    dialect: bedrock_second_call gemini_no_arguments no_arguments ollama_no_arguments
L3-30 {} comes before the arguments
    dialect: args_placeholder
L3-31 a call comes whole, or its opener has arguments
    preserving: opener_with_arguments whole_calls
L3-32 an empty delta follows a call's last
    preserving: bedrock_empty_input cohere_empty_arguments gemini_empty_text ollama_empty_line trailing_empty_delta
L3-33 a call or a text comes once more at the end
    dialect: bedrock_doubled_message cohere_doubled_event duplicate_tail gemini_second_call repeated_text
L3-34 each delta holds all the text so far
    preserving: echo_cuts echoed_token
    dialect: cumulative_deltas repeated_text
L3-35 text and calls come in one delta
    preserving: content_with_calls merge_neighbours
L3-36 an empty list of calls comes beside text
    preserving: empty_tool_calls
L3-37 empty text comes beside calls, or text after them
    preserving: content_with_calls empty_content empty_tool_calls text_after_calls
L3-38 an answer with calls ends with another finish reason
    dialect: completions_finish_reason finish_reason_other ollama_done_reason
L3-39 the finish reason comes with the last text or arguments
    preserving: completions_merge finish_with_last gemini_finish_alone ollama_calls_in_last_line
L3-40 the finish reason is an empty string on the way
    dialect: completions_empty_payloads finish_reason_noise
L3-41 stop comes with every delta
    dialect: finish_reason_noise gemini_finish_everywhere
L3-42 two finish reasons come
    dialect: finish_reason_noise
L3-43 no finish reason comes, but [DONE]
    dialect: completions_no_finish_reason finish_reason_missing
L3-44 usage comes after the finish reason
    preserving: usage_added usage_placement
L3-45 the role comes with every delta
    preserving: role_repeated
L3-46 the role is null, empty or absent
    dialect: role_noise
L3-47 the identity differs from payload to payload, or is empty
    dialect: identity_churn
L3-48 choices come in turns
    preserving: completions_choices_in_turn completions_choices_together gemini_candidates_apart n_interleave
    dialect: second_choice
L3-49 logprobs come apart, or in a late choice
    preserving: logprobs_apart
    dialect: second_choice
L3-50 reasoning comes under one of several names, or two
    dialect: gemini_thoughts_first messages_thinking_first ollama_thinking_first reasoning_added reasoning_names
        responses_reasoning_first
L3-51 a tag is cut between deltas
    preserving: marker_cuts
L3-52 content is a list of parts
    dialect: content_parts
L3-53 a refusal comes in deltas
    preserving: split_text
    dialect: content_as_refusal responses_refusal
L3-54 a call comes in the legacy form
    dialect: legacy_function_call
L3-55 arguments parse before they are complete
    preserving: single_characters split_arguments
    dialect: args_placeholder
L3-56 deltas hold audio or annotations alone
    dialect: audio_deltas
L3-57 a server loses or repeats bytes of arguments
    dialect: bedrock_half_input cohere_half_arguments lost_arguments messages_half_arguments
        responses_half_arguments responses_lost_delta

# Responses

R-01 an event comes that no reference names
    dialect: bedrock_unknown_event cohere_unknown_event responses_keepalive
R-02 arguments come only when they are done
    dialect: responses_arguments_at_once responses_terminal_alone responses_text_at_once
R-03 a delta comes before its item
    dialect: responses_delta_before_item
R-04 the first event does not come
    dialect: messages_no_message_start responses_no_created
R-05 the terminal event has no output
    dialect: responses_empty_output
R-06 a response is incomplete, or fails
    dialect: responses_incomplete responses_incomplete_arguments
    fault: responses_cut responses_failed
R-07 an error is flat, or nested
    fault: responses_error
R-08 sequence numbers are absent, or strange
    dialect: responses_sequence_numbers
R-09 a call is announced and finished, and nothing between
    dialect: responses_arguments_at_once responses_unfinished_items
R-10 items in progress lack fields; payloads of another API come
    dialect: responses_bare_items responses_chat_chunk responses_no_parts
R-11 items of other types shift the index of a call
    dialect: responses_item_before responses_reasoning_first responses_second_call

# Messages

A-01 a fragment of input is empty
    preserving: messages_empty_delta messages_no_empty_delta
A-02 blocks come in turns
    preserving: messages_interleaved
    dialect: messages_second_call
A-03 indexes of blocks come out of order, or with gaps
    dialect: messages_blocks_out_of_order messages_index_gaps
A-04 a call's input comes at its start
    dialect: messages_input_at_start messages_second_call
A-05 text comes for a call
    fault: messages_text_for_a_call
A-06 blocks, deltas and events of unknown types come
    preserving: messages_unknown_event
    dialect: gemini_unknown_part messages_beside_text messages_server_tool_first messages_unknown_block
A-07 usage is cumulative, or absent
    preserving: messages_two_message_deltas
    dialect: messages_no_usage
A-08 an error comes inside a 200, with or without a name
    fault: messages_error messages_error_text messages_error_without_name
A-09 the message ends without its end
    dialect: messages_no_message_stop
    fault: messages_cut messages_cut_call
A-10 max_tokens cuts a call's input
    dialect: bedrock_stop_reason messages_cut_arguments messages_stop_reason

# faults

L4-01 an error object comes inside a 200
    fault: bedrock_exception cohere_error completions_error error_envelope error_event gemini_error
        ollama_error_line
L4-02 an error comes in another envelope
    fault: error_envelope error_event
L4-03 the body ends in the text
    fault: bare_eof completions_cut gemini_array_cut gemini_cut gemini_no_finish_reason ollama_cut ollama_never_done
        truncate
L4-04 the body ends inside arguments
    fault: cut_in_arguments messages_cut_call responses_cut truncate
L4-05 the body ends after a call's opener
    fault: cut_after_opener length_mid_args messages_cut_call
L4-06 the body ends after one of two calls
    fault: cut_between_calls truncate
L4-07 the body ends inside an event
    fault: truncate_inside
L4-08 the transport ends early and says nothing
    part: streamkit.replay.wire
L4-09 length cuts arguments off
    dialect: gemini_finish_reason
    fault: length_mid_args
L4-10 a call is cut off, and the server says tool_calls, or [DONE]
    fault: done_mid_arguments length_mid_args
L4-11 the body is empty, a page, or JSON
    fault: not_a_stream
L4-12 a retry begins the answer again
    dialect: messages_started_over repeated_text responses_started_over
    fault: retry_replay
    part: streamkit.replay.delivery
L4-13 nothing comes, or comments alone, and the socket is open
    part: streamkit.replay.delivery
L4-14 the first event is an error
    fault: cohere_error error_envelope error_event gemini_error
"""


def _read(table: str) -> dict[str, Shape]:
    """Return the shapes of the table: a number and what it is, then, set in, the entries by their class, or a part."""
    found: dict[str, Shape] = {}
    kind = ""
    for line in table.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if not line.startswith(" "):
            number, _, says = line.partition(" ")
            assert number not in found, number
            found[number] = shape = Shape(says)
            continue
        label = re.match(r"    (\w+): ", line)
        kind = label[1] if label else kind
        words = line[label.end() if label else 0 :].split()
        if kind == "part":
            shape.part = words[0]
        else:
            assert kind in ("preserving", "dialect", "fault"), line
            shape.entries.update(dict.fromkeys(words, kind))
    return found


SHAPES = _read(_TABLE)

#: Entries that make none of the shapes, and what they are for.
OTHERS: dict[str, str] = {
    **dict.fromkeys(
        ["event_message", "field_order", "unknown_sse_fields"], "what the standard of event streams leaves open"
    ),
    **dict.fromkeys(
        ["messages_no_names", "responses_no_names", "cohere_no_event_names"], "the type stands in the data, too"
    ),
    **dict.fromkeys(
        ["bedrock_split_delta", "cohere_split_delta", "completions_split_text", "gemini_split_text",
         "messages_split_delta", "ollama_split_text", "responses_split_deltas"], "deltas may be cut anywhere"
    ),
    **dict.fromkeys(
        ["bedrock_merge_deltas", "cohere_merge_deltas", "messages_merge_deltas", "ollama_merge_lines",
         "responses_joined_deltas"], "deltas may be joined"
    ),
    **dict.fromkeys(
        ["bedrock_bad_checksum", "bedrock_further_header", "bedrock_garbage", "bedrock_header_order",
         "bedrock_initial_response", "bedrock_padding"], "the binary framing of Bedrock has rules of its own"
    ),
    "cohere_move_citations": "citations have no place of their own",
    "gemini_as_array": "the API has a second form",
    "gemini_streamed_arguments": "the API has a second form of arguments",
    "messages_unclosed_block": "a block without its stop is not whole",
}  # fmt: skip
