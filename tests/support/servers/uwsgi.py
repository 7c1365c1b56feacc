"""uWSGI, which is a program, as a module."""

import sys

import pyuwsgi

pyuwsgi.run(sys.argv[1:])
