"""The pure core: same inputs, same outputs, in any process, on any day.

It cannot tell the time, draw a random number, reach a disk or a network, or see Django;
what it needs to know arrives as an argument or inside an event.
"""
