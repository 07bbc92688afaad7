# Prints what is at a URL. It knows of no proxy and of no CA.
import sys

import requests

answer = requests.get(sys.argv[1])
answer.raise_for_status()
sys.stdout.write(answer.text)
