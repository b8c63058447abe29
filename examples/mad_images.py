from modalgap.data import mad

digits = mad.digits(limit=200)  # of scikit-learn; or a folder of MNIST's files
made = mad.build(digits)
captions = mad.Captions(attributes=2)

looks = mad.source(made, captions, images=3)  # three random looks of each held-out digit
print(looks)
names, texts = looks.media.names if looks.media else [], looks.texts or []
for name, caption in list(zip(names, texts, strict=True))[:3]:
    print(name, "->", caption)
