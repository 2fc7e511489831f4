"""What the pictures of the annotation desk show: prompts and responses of every kind, written for them."""

from __future__ import annotations

from workbench.domain.judgement import Item
from workbench.domain.text import Candidate, Prompt, Turn

MODELS = (
    "starter-sft",
    "starter-dpo",
    "starter-ppo",
    "starter-grpo",
    "base",
    "other-1",
    "other-2",
    "other-3",
    "other-4",
)

CODE_ASKED = "Write a function that returns the indices of the two numbers in a list that add up to a target."
CODE = (
    "Keep what you have seen in a dictionary, so that one pass is enough:\n\n```python\ndef two_sum(numbers: list[int], target: int) "
    "-> tuple[int, int] | None:\n    seen: dict[int, int] = {}\n    for i, n in enumerate(numbers):\n        if target - n in seen:"
    "\n            return seen[target - n], i\n        seen[n] = i\n    return None\n```\n\nIt takes `O(n)` time and `O(n)` memory; "
    "a number is never paired with itself.",
    "Try every pair:\n\n```python\ndef two_sum(numbers, target):\n    for i in range(len(numbers)):\n        for j in range(len(numbers)):"
    "\n            if numbers[i] + numbers[j] == target:\n                return i, j\n```\n\n| size | steps |\n|---|---|\n| 10 | 100 |\n"
    "| 1,000 | 1,000,000 |\n\n> This is simple, but slow for long lists.",
)
MATHS_ASKED = "Why is the sum of the first $n$ odd numbers a square? Show it in two ways."
MATHS = (
    "**By induction.** For $n = 1$ the sum is $1 = 1^2$. If $\\sum_{k=1}^{n} (2k-1) = n^2$, then\n\n$$\\sum_{k=1}^{n+1} (2k-1) = n^2 + "
    "2n + 1 = (n+1)^2.$$\n\n**By Gauss's trick.** Write the sum twice, once backwards; each of the $n$ columns gives $2n$, so\n\n"
    "$$2S = n \\cdot 2n \\quad\\Rightarrow\\quad S = n^2.$$",
    "The average of $1, 3, \\dots, 2n-1$ is $\\frac{1 + (2n-1)}{2} = n$, and there are $n$ of them, so the sum is $n \\cdot n = n^2$.\n\n"
    "As an integral it looks alike: $\\int_0^n 2x \\, dx = \\left[ x^2 \\right]_0^n = n^2$, and with the error term "
    "$\\left|S - \\int\\right| \\le \\sqrt{\\varepsilon}$ for any $\\varepsilon > 0$.",
)
RIGHT_TO_LEFT_ASKED = "اكتب رسالة قصيرة إلى جارتي أشكرها فيها على رعاية القطة خلال أسبوع السفر."
RIGHT_TO_LEFT = (
    "عزيزتي السيدة مريم،\n\nشكراً جزيلاً لكِ على رعايتكِ لقطتنا «مشمش» طوال أسبوع سفرنا. عدنا فوجدناها **سعيدة ومرتاحة**، وقد ملأتِ "
    "طبقها كل صباح:\n\n1. الطعام الجاف\n2. الماء الطازج\n3. نصف ساعة من اللعب\n\nمع خالص الشكر،\nسلمى",
    "שלום מרים,\n\nתודה רבה על הטיפול בחתולה שלנו בשבוע האחרון. חזרנו הביתה ומצאנו אותה **רגועה ושבעה**, והעציצים (כולל ה-basil) "
    "פורחים.\n\n- האוכל נגמר רק אתמול\n- הדלת של המרפסת נשארה סגורה\n\nבברכה, סלמה",
)
SHORT_ASKED = "My tomatoes have brown spots on their lowest leaves. What should I do this week?"
SHORT = (
    "That is most likely **early blight**, which begins at the lowest leaves.\n\n1. Cut off every spotted leaf and put it in the bin, not "
    "on the compost.\n2. Water the soil, never the leaves, in the morning.\n3. Mulch, so that rain can't splash soil onto the plant.\n\n"
    "If new spots appear within a week, a copper spray helps.",
    "Brown spots can have many causes, such as fungi, bacteria, too much sun or too little water. It is hard to say without seeing the "
    "plant. You could try to water it more and see what happens, or ask in a garden centre near you.",
    "Spray everything with vinegar twice a day until the spots are gone.",
    "Take the spotted leaves off today, water at the foot of the plant, and look again on Sunday: if the spots have climbed higher, it "
    "is a fungus and needs a spray.",
    "Tomatoes are members of the nightshade family and came to Europe in the sixteenth century.",
    "I'm sorry, I can't help with plants.",
    "Remove the leaves, change your watering, and rotate the bed next year: the spores live in the soil.",
    "It's blight. Pull the whole plant out.",
    "Brown spots? Then it is autumn! Enjoy the harvest.",
)
TALK = (
    ("system", "You are the reference desk of a town library. Answer briefly, and name your source."),
    ("user", "When was the old bridge built?"),
    ("assistant", "The stone bridge was finished in 1783, after the flood of 1778 (town chronicle, vol. 2)."),
    ("user", "And the one before it?"),
    ("assistant", "A wooden one of 1611, carried off by that flood (ibid.)."),
    ("user", "Who paid for the new one?"),
)
ANSWERS = (
    "The guilds paid two thirds and the abbey one third; the toll went to both until 1848 (town accounts, 1779–1783).",
    "It was paid for by the town.",
)


def paragraph(n: int) -> str:
    """One of many paragraphs of a very long response."""
    return (
        f"## {n}. What happened in chapter {n}\n\nThe travellers left the inn before dawn, counted their coins twice, and found that the map "
        f"they had bought showed another valley. *“Then we walk until the river turns,”* said the eldest, and so they did for {n + 2} days.\n"
    )


def long_response(paragraphs: int, ending: str) -> str:
    """A response of several screens."""
    return "\n".join(paragraph(n) for n in range(1, paragraphs + 1)) + f"\n{ending}\n"


def item(name: str, prompt: Prompt | str, *responses: str) -> Item:
    """Responses by models of different names to one prompt."""
    asked = Prompt.from_text(prompt) if isinstance(prompt, str) else prompt
    return Item(id=name, prompt=asked, candidates=tuple(Candidate(text=t, model=m) for t, m in zip(responses, MODELS)))


def conversation() -> Prompt:
    """A conversation whose earlier turns are folded."""
    return Prompt(turns=tuple(Turn(role=role, content=words) for role, words in TALK))  # type: ignore[arg-type]


DATASETS: dict[str, tuple[Item, ...]] = {
    "two": (
        item("tomatoes", SHORT_ASKED, *SHORT[:2]),
        item("bridge", conversation(), *ANSWERS),
        item("tomatoes-again", SHORT_ASKED, *SHORT[2:4]),
    ),
    "conversation": (item("bridge", conversation(), *ANSWERS),),
    "four": (item("four", SHORT_ASKED, *SHORT[:4]),),
    "nine": (item("nine", SHORT_ASKED, *SHORT),),
    "dimensions": (item("dimensions", SHORT_ASKED, *SHORT[:2]),),
    "code": (item("code", CODE_ASKED, *CODE),),
    "mathematics": (item("mathematics", MATHS_ASKED, *MATHS),),
    "right-to-left": (item("right-to-left", RIGHT_TO_LEFT_ASKED, *RIGHT_TO_LEFT),),
    "very-long": (
        item(
            "very-long",
            "Retell the whole novel, chapter by chapter.",
            long_response(40, "So it ended."),
            long_response(24, "The end."),
        ),
    ),
    "done": (item("done", SHORT_ASKED, *SHORT[:2]),),
}
