"""The same flows in this project and in other libraries, each a process that trains or draws when it is told to."""
