"""Plain English, written for the labs and so in no training set: does a language model still find it likely?"""

TEXT = """\
The ferry left the harbour a little after six, when the fog had begun to lift from the water. On the deck a woman \
counted the crates of apples a second time, for her brother had promised forty and she could find only thirty-eight. \
Nobody else seemed to mind. The captain, who had made the crossing every day for nineteen years, drank his tea and \
watched the gulls.

To make bread you need flour, water, salt and time. Mix the flour with most of the water and leave it alone for half \
an hour; the dough becomes smooth by itself while you do something else. Then add the salt and a spoon of yeast, \
fold the dough a few times, and let it rise in a cool place until the next morning. Bake it in a very hot oven, with \
a bowl of water beside it, until the crust is dark.

A river does not flow in a straight line for long. Where the bank is soft, water carries a little of it away, and \
the bend grows; on the inner side, where the current is slow, sand settles. After some centuries the two ends of a \
loop may meet, and the river takes the short way. What is left of the loop becomes a lake in the shape of a crescent \
moon, which slowly fills with reeds.

"I have read your letter," he said, "and I still do not understand why you want to sell the house." She looked out \
of the window. The garden had been neglected since the spring, and one of the old pear trees had fallen against the \
wall. "Because it is too large for one person," she answered, "and because I can hear every empty room."

The committee will meet on Tuesday to discuss next year's budget. Members are asked to read the report beforehand \
and to send questions in writing. Last year the library spent more on heating than on books, which several people \
found absurd; this year the roof has been repaired, and the figures should look better.
"""
