"""Nothing at run time: ``_face.pyi`` tells type checkers that the packages of verbs are callable."""
