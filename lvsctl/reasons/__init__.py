"""Why things are as they are: every reason that a person sees, as a value and in words.

``reason.py`` has the value, ``templates.py`` how words are made of one. Each other module defines
the reasons of a subject: code, words, meaning and cure. Nothing here decides which reason applies;
that is up to whoever observes it.
"""
