"""The same eyes, after the fact: on what the user has, and on a prepared dataset.

Imports all folders but `write`. Creates nothing but the kept index.
"""
