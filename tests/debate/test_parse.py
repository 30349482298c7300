"""What agents say is read leniently, checked strictly, and refused in sentences that can be sent back to the model."""

import msgspec
import pytest

from catherd.answers.envelopes import Unusable
from catherd.core.messages import Answered, Argument, Ask, Ballot, Chat, Input, Pitch
from catherd.debate import parse
from catherd.debate.parse import Statement
from support.debate_in_memory import ask, card

NAMES = {
    "amber": "claude",
    "birch": "gemini",
    "cedar": "chatgpt",
    "guest-1": "wildcard",
}
SECTIONS = "## User\nInes.\n\n## Problem\nKeys.\n\n## Core loop\nTap.\n\n## PoC in a day\nOne page.\n\n## Biggest risk\nHabit.\n\n## What it is not\nA lock.\n"


def inputs() -> list[Input]:
    made = [
        Input(
            path=f"p/{c}",
            sha256="0",
            kind="proposal",
            by=c,
            data={"title": f"The {c}", "body": SECTIONS},
        )
        for c in ("amber", "birch", "cedar")
    ]
    for by in ("birch", "cedar", "guest-1"):
        data = {
            "objections": [{"to": "amber", "best": "b", "objection": "why?", "risk": 2}]
        }
        made.append(
            Input(path=f"o/{by}", sha256="0", kind="argument", by=by, data=data)
        )
    made.append(
        Input(
            path="chat/0001.gemini.yaml",
            sha256="0",
            kind="chat",
            by="gemini",
            data={"text": "hi", "reply_to": ""},
        )
    )
    return made


def of(form: str) -> Ask:
    return ask(form, inputs=[] if form == "pitch" else inputs(), names=NAMES)


def hear(
    form: str, text: str, who: str = "claude", *, last_try: bool = False
) -> Statement:
    return parse.read_statement(of(form), card(who), text, last_try=last_try)


def refused(
    form: str, text: str, who: str = "claude", *, last_try: bool = False
) -> list[str]:
    with pytest.raises(Unusable) as e:
        hear(form, text, who, last_try=last_try)
    return e.value.errors


PITCH = f"---\nkind: pitch\ntitle: Door Duty\n---\n{SECTIONS}"
OBJECTIONS = """---
kind: objections
aside: nice keys
reply_to: m1
---
## birch
Best point: small.
Objection: "Tap" is not enough.
It never was.
Question: how many?
Risk: 3, habits.

## cedar
Best point: large.
Objection: "Keys" get lost.
Question: where?
Risk: 1, none.
"""
ANSWERS = f"""---
kind: answers
decision: revise
---
## birch
Accept: the loop says so now.
## cedar
Rebut: it does not.
## guest-1
Rebut: neither.

# Proposal: Door Duty Two
{SECTIONS.replace("Tap.", "Tap twice.")}"""
BALLOT = "---\nkind: ballot\n---\n## birch\nbecause.\n\n## cedar\nwell.\n\n## Ranking\n1. cedar\n2. birch\n"


def test_a_pitch_is_its_title_and_its_text() -> None:
    assert hear("pitch", PITCH).message == Pitch(
        title="Door Duty", body=SECTIONS.strip()
    )


def test_a_pitch_may_carry_its_title_as_a_heading_and_bold_lines_for_sections() -> None:
    bold = SECTIONS.replace("## ", "**").replace("\n", "**\n", 1)
    bold = "\n".join(
        f"{line}**" if line.startswith("**") and not line.endswith("**") else line
        for line in bold.split("\n")
    )

    assert hear("pitch", f"# Door Duty\n\n{bold}").message == Pitch(
        title="Door Duty", body=bold.strip()
    )


def test_a_pitch_without_a_title_or_a_heading_is_sent_back() -> None:
    assert refused(
        "pitch", "---\nkind: pitch\n---\n" + SECTIONS.replace("## Biggest risk\n", "")
    ) == [
        "title: missing; give the app a name in the front matter",
        "the proposal lacks ## Biggest risk",
    ]


def test_a_pitch_that_is_too_long_is_sent_back_and_cut_on_the_last_try() -> None:
    long = PITCH + "word " * 400

    assert refused("pitch", long) == ["the proposal has 428 words; the limit is 400"]
    heard = hear("pitch", long, last_try=True)
    assert isinstance(heard.message, Pitch)
    assert len(heard.message.body.split()) == 401  # … marks the cut
    assert heard.message.body.endswith("word …")
    assert heard.notes == ["the proposal had 428 words and was cut at 400"]


def test_an_answer_of_another_kind_is_sent_back() -> None:
    assert refused("pitch", BALLOT) == ["kind: 'ballot' where 'pitch' was asked for"]


def test_objections_are_read_with_their_parts_and_the_aside_with_its_thread() -> None:
    heard = hear("objections", OBJECTIONS)

    assert isinstance(heard.message, Argument)
    one = heard.message.objections[0]
    assert (one.to, one.best, one.objection, one.question) == (
        "birch",
        "small.",
        '"Tap" is not enough.\nIt never was.',
        "how many?",
    )
    assert (one.risk, one.why) == (3, "habits.")
    assert (heard.aside, heard.reply_to) == ("nice keys", "0001.gemini")


@pytest.mark.parametrize(
    "heading",
    ["### `birch`", "## To birch", "**birch**", "## Birch — The birch", "# birch:"],
)
def test_a_section_may_be_headed_in_many_ways(heading: str) -> None:
    heard = hear(
        "objections",
        OBJECTIONS.replace("## birch", heading).replace(
            "Best point:", "- **Best point:**"
        ),
    )

    assert isinstance(heard.message, Argument)
    assert [o.to for o in heard.message.objections] == ["birch", "cedar"]
    assert heard.message.objections[0].best == "small."


def test_a_rival_without_an_objection_is_sent_back() -> None:
    assert refused("objections", OBJECTIONS.split("## cedar", maxsplit=1)[0]) == [
        "cedar: no section '## cedar'; every rival needs an objection: birch, cedar"
    ]
    assert refused(
        "objections", OBJECTIONS.replace("Risk: 3, habits.", "Risk: high")
    ) == ["birch: 'Risk: high' does not begin with a number from 1 to 5"]
    assert refused("objections", OBJECTIONS.replace("Objection: ", "Hm: ")) == [
        "birch: no line 'Objection: …'",
        "cedar: no line 'Objection: …'",
    ]


def test_who_has_no_proposal_objects_to_all() -> None:
    assert refused("objections", OBJECTIONS, "wildcard") == [
        "amber: no section '## amber'; every rival needs an objection: amber, birch, cedar"
    ]


def test_answers_are_verdicts_a_decision_and_a_new_text() -> None:
    message = hear("answers", ANSWERS).message

    assert message == Argument(
        decision="revise",
        answers=[
            Answered(by="birch", verdict="accept", text="the loop says so now."),
            Answered(by="cedar", verdict="rebut", text="it does not."),
            Answered(by="guest-1", verdict="rebut", text="neither."),
        ],
        title="Door Duty Two",
        body=SECTIONS.replace("Tap.", "Tap twice.").strip(),
    )


def test_an_objection_that_is_not_answered_is_sent_back() -> None:
    assert refused(
        "answers", ANSWERS.replace("## cedar\nRebut: it does not.\n", "")
    ) == [
        "answers: cedar's objection to amber is not answered; under '## cedar' write 'Accept: …' or 'Rebut: …'"
    ]


def test_a_decision_must_be_one_and_must_do_what_it_says() -> None:
    assert refused("answers", ANSWERS.replace("revise", "maybe")) == [
        "decision: 'maybe' is none of stand, revise, withdraw, merge"
    ]
    assert refused("answers", ANSWERS.split("# Proposal", maxsplit=1)[0]) == [
        "decision: revise, but there is no line '# Proposal: <title>' with the whole new text below it"
    ]
    same = ANSWERS.replace("Door Duty Two", "The amber").replace("Tap twice.", "Tap.")
    assert refused("answers", same) == [
        "decision: revise, but the text is the same as before; change it or write stand"
    ]


def test_on_the_last_try_what_is_there_is_kept() -> None:
    partial = ANSWERS.replace("## cedar\nRebut: it does not.\n", "").replace(
        "revise", "perhaps"
    )
    heard = hear("answers", partial, last_try=True)
    assert isinstance(heard.message, Argument)
    assert ([a.by for a in heard.message.answers], heard.message.decision) == (
        ["birch", "guest-1"],
        "stand",
    )
    assert len(heard.notes) == 2

    heard = hear(
        "objections", OBJECTIONS.split("## cedar", maxsplit=1)[0], last_try=True
    )
    assert isinstance(heard.message, Argument)
    assert [o.to for o in heard.message.objections] == ["birch"]
    assert refused("objections", "No objections, all lovely.", last_try=True) == [
        "there is no objection to any of birch, cedar"
    ]


def test_a_kind_that_names_no_other_answer_is_a_slip() -> None:
    assert isinstance(
        hear("pitch", PITCH.replace("kind: pitch", "kind: proposal")).message, Pitch
    )


def test_a_merge_names_a_rival() -> None:
    merge = ANSWERS.replace("decision: revise", "decision: merge\nmerge_with: elm")

    assert refused("answers", merge) == [
        "merge_with: 'elm' is not a rival proposal; there are birch, cedar"
    ]
    message = hear("answers", merge.replace("elm", "cedar")).message
    assert isinstance(message, Argument)
    assert (message.decision, message.merge_with, message.title) == (
        "merge",
        "cedar",
        "Door Duty Two",
    )


def test_withdrawing_needs_no_text() -> None:
    message = hear(
        "answers",
        ANSWERS.split("# Proposal", maxsplit=1)[0].replace("revise", "withdraw"),
    ).message

    assert isinstance(message, Argument)
    assert (message.decision, message.title, message.body) == ("withdraw", "", "")


def test_a_guest_has_nothing_to_answer() -> None:
    assert hear("answers", "Curious what amber says.", "wildcard").message == Argument(
        decision="stand", body="Curious what amber says."
    )


def test_a_final_statement_speaks_for_ones_own_while_it_is_open() -> None:
    assert hear("final", "---\nkind: final\n---\nMine.").message == Argument(
        speaks_for="amber", body="Mine."
    )
    assert refused("final", "---\nspeaks_for: birch\n---\nTheirs.") == [
        "speaks_for: 'birch', but your own proposal amber is on the ballot; speak for it"
    ]
    assert refused("final", "---\nspeaks_for: elm\n---\nTheirs.", "wildcard") == [
        "speaks_for: 'elm' is not on the ballot; there are amber, birch, cedar"
    ]


def test_who_withdrew_speaks_for_another() -> None:
    gone = Input(
        path="p",
        sha256="0",
        kind="standing",
        by="amber",
        data={"title": "t", "body": "b", "status": "withdrawn"},
    )
    one = msgspec.structs.replace(of("final"), inputs=[*inputs(), gone])

    heard = parse.read_statement(
        one, card("claude"), "---\nspeaks_for: birch\n---\nTheirs."
    )
    assert heard.message == Argument(speaks_for="birch", body="Theirs.")


def test_a_ballot_is_reasons_and_a_ranking_in_the_order_that_was_shown() -> None:
    assert hear("ballot", BALLOT).message == Ballot(
        ranking=["cedar", "birch"],
        reasons={"cedar": "well.", "birch": "because."},
        shown=["birch", "cedar"],
    )


@pytest.mark.parametrize(
    "ranking",
    [
        "1. cedar\n2. birch",
        "- **cedar**\n- `birch`",
        "cedar\nbirch",
        "cedar > birch",
        "1. cedar, birch",
        "1) Cedar: it works\n2) Birch (not yet)",
    ],
)
def test_a_ranking_may_be_written_in_many_ways(ranking: str) -> None:
    message = hear(
        "ballot", BALLOT.split("## Ranking", maxsplit=1)[0] + f"## Ranking\n{ranking}\n"
    ).message

    assert isinstance(message, Ballot)
    assert message.ranking == ["cedar", "birch"]


@pytest.mark.parametrize(
    ("ranking", "error"),
    [
        (
            "1. todo-app\n2. birch",
            "ranking: 'todo-app' is not on this ballot; it lists birch, cedar",
        ),
        (
            "1. amber\n2. birch",
            "ranking: 'amber' is not on this ballot; it lists birch, cedar",
        ),
        ("1. birch\n2. birch", "ranking: 'birch' stands there twice"),
        (
            "1. birch = cedar",
            "ranking: 'birch = cedar' is an equal rank; put one before the other",
        ),
        (
            "",
            "ranking: missing; list birch, cedar under '## Ranking', best first, or write abstain: true",
        ),
        (
            "I like cedar best, then birch.",
            "ranking: 'i like cedar best, then birch' is not on this ballot; it lists birch, cedar",
        ),
    ],
)
def test_a_ballot_is_never_guessed(ranking: str, error: str) -> None:
    text = BALLOT.split("## Ranking", maxsplit=1)[0] + f"## Ranking\n{ranking}\n"

    assert refused("ballot", text) == [error]
    assert refused("ballot", text, last_try=True) == [error]


def test_a_ranking_in_prose_is_no_ranking() -> None:
    assert refused("ballot", "My ranking is cedar, birch.", last_try=True) == [
        "ranking: missing; list birch, cedar under '## Ranking', best first, or write abstain: true"
    ]


def test_two_rankings_must_agree() -> None:
    both = BALLOT.replace("kind: ballot\n", "kind: ballot\nranking: [birch, cedar]\n")

    assert refused("ballot", both) == [
        "ranking: the front matter says birch, cedar, the section says cedar, birch; give one"
    ]


def test_a_ballot_without_reasons_is_sent_back_and_counts_on_the_last_try() -> None:
    bare = "---\nkind: ballot\nranking: [cedar, birch]\n---\n"

    assert refused("ballot", bare) == [
        "reasons: no section '## birch' says why it stands where you put it",
        "reasons: no section '## cedar' says why it stands where you put it",
    ]
    message = hear("ballot", bare, last_try=True).message
    assert isinstance(message, Ballot)
    assert message.ranking == ["cedar", "birch"]


def test_an_abstention_is_a_ballot_with_a_reason() -> None:
    message = hear(
        "ballot", "---\nkind: ballot\nabstain: true\nwhy: I know too little\n---\n"
    ).message

    assert message == Ballot(
        abstain=True, why="I know too little", shown=["birch", "cedar"]
    )


def test_an_aside_is_held_to_its_limit_and_a_wrong_thread_is_dropped() -> None:
    long = OBJECTIONS.replace("nice keys", "key " * 81)

    assert refused("objections", long) == ["aside has 81 words; the limit is 80"]
    assert hear("objections", long, last_try=True).aside.split()[79:] == ["key", "…"]
    lost = hear("objections", OBJECTIONS.replace("m1", "m9"))
    assert (lost.reply_to, lost.notes) == (
        "",
        ["reply_to: 'm9' is not a message that was shown"],
    )


def test_the_example_of_the_template_is_no_aside() -> None:
    text = OBJECTIONS.replace(
        "nice keys", "(a line for the chat, or leave the key out)"
    )

    assert hear("objections", text).aside == ""


def test_a_reply_in_the_chat_answers_the_last_message_unless_it_says_otherwise() -> (
    None
):
    assert hear("chat", "Yes,\nI would.").message == Chat(
        text="Yes, I would.", reply_to="0001.gemini"
    )
    assert refused("chat", "word " * 81) == [
        "the message has 81 words; the limit is 80"
    ]


def test_an_empty_answer_is_sent_back() -> None:
    assert refused("pitch", " \n") == ["the answer is empty; return the whole document"]
